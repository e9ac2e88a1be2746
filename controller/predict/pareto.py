"""Finds the models that no other one beats on accuracy, energy and latency together, and who beats the rest."""

from collections.abc import Sequence
from dataclasses import dataclass

Costs = tuple[float, float, float]
"""Energy, the accuracy that is missing, and latency: the less of each, the better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model on one type of device.

    `task` tells apart what cannot be compared: accuracy on ten digits is none on a thousand things. Energy is mJ per
    inference with its 95 % interval; what is not known is None.
    """

    name: str
    task: str
    top1_pct: float | None
    energy_mj: float | None
    low_mj: float | None = None
    high_mj: float | None = None
    latency_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A candidate that could be compared: `dominated_by` names members of the frontier, none for a member itself.

    `surely`: the interval of a dominating one ends below where its own begins.
    """

    candidate: Candidate
    dominated_by: tuple[str, ...] = ()
    surely: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unplaced:
    """A candidate that nothing can be said about, and why."""

    candidate: Candidate
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """All candidates of a device type: `placed` by task, cheapest first; `with_latency`: tasks where it counts."""

    placed: tuple[Placed, ...]
    unplaced: tuple[Unplaced, ...]
    with_latency: tuple[str, ...]


def front(candidates: Sequence[Candidate]) -> Front:
    """Return who is on the frontier and who is dominated by whom, within each task.

    One dominates another when it is no worse on any axis and better on one. Latency is an axis of a task only when it
    is known of each of its candidates; otherwise the unknown ones would be judged by less than the others.
    """
    known = [c for c in candidates if _is_known(c)]
    unplaced = [Unplaced(candidate=c, reason=_why(c)) for c in candidates if not _is_known(c)]
    placed: list[Placed] = []
    with_latency = []
    for task in sorted({c.task for c in known}):
        group = [c for c in known if c.task == task]
        timed = all(c.latency_ms is not None for c in group)
        with_latency += [task] if timed else []
        placed += _placed(group, timed=timed)
    return Front(placed=tuple(placed), unplaced=tuple(unplaced), with_latency=tuple(with_latency))


def _placed(group: Sequence[Candidate], *, timed: bool) -> list[Placed]:
    """Return `group` in the order of its costs; whoever dominates comes before whom it dominates.

    In that order nobody on the frontier costs more energy than who comes next, so the other two axes decide.
    """
    priced = sorted(((_costs(c, timed=timed), c) for c in group), key=lambda pair: pair[0])
    members: list[tuple[Costs, Candidate]] = []
    placed = []
    for mine, each in priced:
        above = [m for its, m in members if its[1] <= mine[1] and its[2] <= mine[2] and its != mine]
        members += [] if above else [(mine, each)]
        surely = any(m.high_mj is not None and each.low_mj is not None and m.high_mj <= each.low_mj for m in above)
        placed.append(Placed(candidate=each, dominated_by=tuple(m.name for m in above), surely=surely))
    return placed


def _costs(candidate: Candidate, *, timed: bool) -> Costs:
    latency = candidate.latency_ms if timed else None
    return candidate.energy_mj or 0.0, -(candidate.top1_pct or 0.0), latency or 0.0


def _is_known(candidate: Candidate) -> bool:
    return candidate.energy_mj is not None and candidate.top1_pct is not None


def _why(candidate: Candidate) -> str:
    if candidate.energy_mj is None:
        return "no energy is known or predicted on this type of device: measure it first"
    return "its accuracy was never measured"
