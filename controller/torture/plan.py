"""What is asked of the fleet and what is killed, all from one seed; pure."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """A thing that a person may do to a device."""

    DEPLOY = "deploy"
    TYPE = "type"
    TYPE_WITH_ID = "type_with_id"
    CANCEL = "cancel"
    TYPE_CANCEL = "type_cancel"
    ROLLBACK = "rollback"
    ORDER = "order"
    REPLAY = "replay"


WEIGHTS = {
    Kind.DEPLOY: 34,
    Kind.TYPE: 14,
    Kind.TYPE_WITH_ID: 14,
    Kind.CANCEL: 8,
    Kind.TYPE_CANCEL: 5,
    Kind.ROLLBACK: 8,
    Kind.ORDER: 12,
    Kind.REPLAY: 5,
}
ORDERS = ("ping", "start", "infer", "info")
TWICE = 0.25
"""How much of what is typed is typed twice at once."""

USUAL_GAP_S = 45.0
KILLS_IN_A_SHORT_RUN = 3
SHORTEST_AWAY_S, LONGEST_AWAY_S = 0.2, 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One thing to do: to which device, with which model, where the deed needs one."""

    number: int
    kind: Kind
    device: int
    model: int
    order: str
    twice: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """At `at_s`, `what` dies by SIGKILL and comes back after `away_s`."""

    at_s: float
    what: str
    away_s: float


def deeds(seed: int, *, devices: int, models: int) -> Iterator[Deed]:
    """Yield deeds without end."""
    draw = random.Random(f"{seed}/deeds")  # noqa: S311 - a run that can be repeated
    number = 0
    while True:
        number += 1
        [kind] = draw.choices(list(WEIGHTS), list(WEIGHTS.values()))
        yield Deed(
            number=number,
            kind=kind,
            device=draw.randrange(devices),
            model=draw.randrange(models),
            order=draw.choice(ORDERS),
            twice=draw.random() < TWICE,
        )


def kills(seed: int, *, run_s: float, targets: tuple[str, ...]) -> tuple[Kill, ...]:
    """Return the kills of a run in their order; each target dies a few times even in a short one."""
    return tuple(sorted((kill for what in targets for kill in _of(seed, what, run_s)), key=lambda kill: kill.at_s))


def _of(seed: int, what: str, run_s: float) -> Iterator[Kill]:
    draw = random.Random(f"{seed}/kills/{what}")  # noqa: S311 - a run that can be repeated
    gap_s = min(USUAL_GAP_S, run_s / KILLS_IN_A_SHORT_RUN)
    at_s = draw.uniform(0.3, 1.0) * gap_s
    while at_s < run_s:
        away_s = min(draw.uniform(SHORTEST_AWAY_S, LONGEST_AWAY_S), gap_s / 2)
        yield Kill(at_s=at_s, what=what, away_s=away_s)
        at_s += away_s + draw.uniform(0.5, 1.5) * gap_s
