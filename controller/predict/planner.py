"""Assigns models to devices so that accuracy is highest within an energy per day: an integer program."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from broker.errors import InvalidError

SECONDS_PER_DAY = 86_400.0
MJ_PER_WH = 3.6e6
TIME_LIMIT_S = 10.0
TIE = 1e-6
"""What the whole energy weighs against one point of accuracy: less than any difference that anybody measures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A model that a device could run: `energy_mj` is what one inference is counted at."""

    model: str
    top1_pct: float
    energy_mj: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A device, and the models that are accurate enough and known to fit it; `rate_hz` inferences per second."""

    device_id: str
    rate_hz: float
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """One device with its model, and what that costs a day."""

    device_id: str
    model: str
    top1_pct: float
    energy_mj: float
    wh_per_day: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The assignment; empty when it is not `feasible`, and then `short_wh_per_day` says by how much.

    `least_wh_per_day` is what the cheapest assignment costs. `optimal` is False when the time was over first.
    """

    feasible: bool
    assigned: tuple[Assigned, ...]
    mean_top1_pct: float | None
    wh_per_day: float | None
    least_wh_per_day: float
    short_wh_per_day: float
    optimal: bool


def plan(places: Sequence[Place], *, energy_wh_per_day: float) -> Plan:
    """Return the models for `places` with the highest mean accuracy within `energy_wh_per_day`, together.

    Every place gets one of its choices and must have one. Among equally accurate assignments the cheapest counts.
    Raises InvalidError for an energy that is none, for no places, and for a place without choices.
    """
    if not math.isfinite(energy_wh_per_day) or energy_wh_per_day <= 0:
        raise InvalidError(
            f"an energy of {energy_wh_per_day:g} Wh per day is none", hint="give more than 0", field="energy_wh_per_day"
        )
    if not places:
        raise InvalidError("there is no device to plan for", hint="name some", field="places")
    groups = _alike(places)
    least = sum(len(ids) * min(_wh(rate, c) for c in choices) for (rate, choices), ids in groups.items())
    if least > energy_wh_per_day:
        return Plan(
            feasible=False,
            assigned=(),
            mean_top1_pct=None,
            wh_per_day=None,
            least_wh_per_day=least,
            short_wh_per_day=least - energy_wh_per_day,
            optimal=True,
        )
    counts, optimal = _solve(groups, energy_wh_per_day)
    assigned = _dealt(groups, counts)
    return Plan(
        feasible=True,
        assigned=assigned,
        mean_top1_pct=sum(a.top1_pct for a in assigned) / len(assigned),
        wh_per_day=sum(a.wh_per_day for a in assigned),
        least_wh_per_day=least,
        short_wh_per_day=0.0,
        optimal=optimal,
    )


_Kind = tuple[float, tuple[Choice, ...]]


def _alike(places: Sequence[Place]) -> dict[_Kind, list[str]]:
    """Return the devices that are interchangeable, together: the program then counts instead of naming."""
    groups: dict[_Kind, list[str]] = {}
    for place in places:
        if not place.choices:
            raise InvalidError(f"{place.device_id} has no model to choose from", hint="leave it out", field="places")
        groups.setdefault((place.rate_hz, place.choices), []).append(place.device_id)
    return groups


def _wh(rate_hz: float, choice: Choice) -> float:
    return choice.energy_mj * rate_hz * SECONDS_PER_DAY / MJ_PER_WH


def _solve(groups: Mapping[_Kind, Sequence[str]], energy_wh_per_day: float) -> tuple[list[int], bool]:
    """Return how many devices of each group get each of its choices, in order, and whether that is proven best."""
    import numpy as np  # noqa: PLC0415 - loaded with scipy
    from scipy.optimize import (  # type: ignore[import-untyped]  # noqa: PLC0415 - 0.3 s that only a plan costs
        Bounds,
        LinearConstraint,
        milp,
    )

    pairs = [(row, rate, choice) for row, (rate, choices) in enumerate(groups) for choice in choices]
    sizes = [len(ids) for ids in groups.values()]
    energy = np.array([_wh(rate, choice) for _, rate, choice in pairs])
    gain = np.array([choice.top1_pct for _, _, choice in pairs]) - TIE * energy / energy_wh_per_day
    each = np.zeros((len(sizes), len(pairs)))
    for column, (row, _, _) in enumerate(pairs):
        each[row, column] = 1
    found = milp(
        -gain,
        integrality=np.ones(len(pairs)),
        bounds=Bounds(0, np.array([sizes[row] for row, _, _ in pairs])),
        constraints=[LinearConstraint(each, sizes, sizes), LinearConstraint(energy[None, :], 0, energy_wh_per_day)],
        options={"time_limit": TIME_LIMIT_S, "mip_rel_gap": 0.0},
    )
    if found.x is None:
        return _cheapest(groups), False
    return [round(value) for value in found.x], found.status == 0


def _cheapest(groups: Mapping[_Kind, Sequence[str]]) -> list[int]:
    """Return the counts of the cheapest assignment, which is known to be within the energy."""
    counts = []
    for (rate, choices), ids in groups.items():
        cheapest = min(range(len(choices)), key=lambda i, r=rate, c=choices: _wh(r, c[i]))  # type: ignore[misc]
        counts += [len(ids) if i == cheapest else 0 for i in range(len(choices))]
    return counts


def _dealt(groups: Mapping[_Kind, Sequence[str]], counts: Sequence[int]) -> tuple[Assigned, ...]:
    """Return one assignment per device, by id; who is alike is dealt with in order."""
    assigned: list[Assigned] = []
    left = iter(counts)
    for (rate, choices), ids in groups.items():
        dealt = [choice for choice in choices for _ in range(next(left))]
        assigned += [_assigned(device_id, rate, choice) for device_id, choice in zip(ids, dealt, strict=True)]
    return tuple(sorted(assigned, key=lambda a: a.device_id))


def _assigned(device_id: str, rate_hz: float, choice: Choice) -> Assigned:
    return Assigned(
        device_id=device_id,
        model=choice.model,
        top1_pct=choice.top1_pct,
        energy_mj=choice.energy_mj,
        wh_per_day=_wh(rate_hz, choice),
    )
