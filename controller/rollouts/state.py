"""What is known of a rollout: its phases and those of its waves as tables, its rules, its counts; pure.

A rollout knows how many devices of each wave stand where, not which; `standing.py` has what a device goes through.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from controller.rollouts.guards import Guards
from controller.rollouts.standing import UNDERWAY, Standing

DEADLINE_S = 86_400.0
WINDOWED_DEADLINE_S = 7 * 86_400.0
"""How long a rollout may take in all, from when it may begin; longer when it works in a daily window."""

ROLLBACK_WITHIN_S = 3_600.0
"""How long rolling back may take: no download, but a device may have to finish what it does."""

OnBreach = Literal["pause", "abort", "roll_back_all"]


class RolloutPhase(StrEnum):
    """How a rollout stands; the same word in REST, on the command line and in the dashboard."""

    PLANNED = "planned"
    RUNNING = "running"
    PAUSED = "paused"
    ROLLING_BACK = "rolling_back"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ABORTED = "aborted"
    ROLLED_BACK = "rolled_back"


P = RolloutPhase
NEXT: dict[RolloutPhase, frozenset[RolloutPhase]] = {
    P.PLANNED: frozenset({P.RUNNING, P.ABORTED, P.FAILED}),
    P.RUNNING: frozenset({P.PAUSED, P.ROLLING_BACK, P.SUCCEEDED, P.FAILED, P.ABORTED}),
    P.PAUSED: frozenset({P.RUNNING, P.ROLLING_BACK, P.FAILED, P.ABORTED}),
    P.ROLLING_BACK: frozenset({P.ROLLED_BACK, P.FAILED}),
    P.SUCCEEDED: frozenset(),
    P.FAILED: frozenset(),
    P.ABORTED: frozenset(),
    P.ROLLED_BACK: frozenset(),
}
TERMINAL = frozenset(phase for phase, following in NEXT.items() if not following)


class WavePhase(StrEnum):
    """How a wave stands; `soaking` while its devices are watched with the new model."""

    WAITING = "waiting"
    RUNNING = "running"
    SOAKING = "soaking"
    DONE = "done"
    FAILED = "failed"


W = WavePhase
NEXT_WAVE: dict[WavePhase, frozenset[WavePhase]] = {
    W.WAITING: frozenset({W.RUNNING}),
    W.RUNNING: frozenset({W.SOAKING, W.DONE, W.FAILED}),
    W.SOAKING: frozenset({W.DONE, W.FAILED, W.RUNNING}),
    W.DONE: frozenset({W.RUNNING}),
    W.FAILED: frozenset(),
}
"""A wave runs once more where a device that failed has another try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When a rollout goes on and when it stops.

    It stops when more than `failure_percent` of the devices that were judged, at least `fewest_judged` of them or all
    there are, went wrong; a wave lets the next one begin when `success_percent` of its judged devices went well.
    `window` (`22:00-05:00`, the controller's local time) and `not_before` (Unix s) say when devices may begin.
    At most `at_once` devices download at the same time, and starts are paced to `bytes_per_s` on the average.
    With `joins` new devices that match enter the waves still to come; waves `by_name` keep their devices.
    """

    failure_percent: float = 5.0
    success_percent: float = 95.0
    fewest_judged: int = 5
    guards: Guards = field(default_factory=Guards)
    on_breach: OnBreach = "pause"
    pause_after_waves: bool = False
    soak_s: float = 0.0
    at_once: int = 20
    bytes_per_s: float | None = None
    not_before: float | None = None
    window: str | None = None
    joins: bool = False
    by_name: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """How many devices of one wave stand where; `forgiven` of the bad ones no longer count, a person went on."""

    counts: Mapping[Standing, int] = field(default_factory=dict)
    phase: WavePhase = W.WAITING
    since: float = 0.0
    forgiven: int = 0

    @property
    def size(self) -> int:
        """How many devices it has."""
        return sum(self.counts.values())

    def count(self, standings: frozenset[Standing]) -> int:
        """Return how many devices stand in one of `standings`."""
        return sum(self.counts.get(each, 0) for each in standings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A model on its way to many devices, in waves; times are Unix seconds.

    `stands_aside` counts devices outside every wave: refused by the gate, or had it already. `wave` is the index of the
    one at work. `paced_until` is when the next device may begin, `last_wrong` which device went wrong last, and why.
    """

    id: str
    model: str
    who: str
    created_at: float
    since: float
    deadline_at: float
    waves: tuple[Wave, ...]
    rules: Rules = field(default_factory=Rules)
    stands_aside: Mapping[Standing, int] = field(default_factory=dict)
    phase: RolloutPhase = P.PLANNED
    wave: int = 0
    reason: str | None = None
    code: str | None = None
    paced_until: float = 0.0
    last_wrong: str = ""

    @property
    def terminal(self) -> bool:
        """Whether it has ended; it never changes again."""
        return self.phase in TERMINAL

    @property
    def current(self) -> Wave:
        """The wave at work."""
        return self.waves[self.wave]

    def count(self, standings: frozenset[Standing]) -> int:
        """Return how many of its devices stand in one of `standings`."""
        aside = sum(self.stands_aside.get(each, 0) for each in standings)
        return aside + sum(wave.count(standings) for wave in self.waves)

    @property
    def size(self) -> int:
        """How many devices it speaks of."""
        return sum(self.stands_aside.values()) + sum(wave.size for wave in self.waves)


def outcome(rollout: Rollout) -> str:
    """Return how far it came, in one sentence; devices that were not sent anything are said apart."""
    count = {each: rollout.count(frozenset({each})) for each in Standing}
    had, refused = count[Standing.ALREADY], count[Standing.REFUSED]
    asked = rollout.size - had - refused
    said = [f"{count[Standing.DONE]} of {asked} done"] if asked else []
    names = {
        Standing.BREACHED: "over a limit",
        Standing.FAILED: "failed",
        Standing.AWAY: "away",
        Standing.WITHDRAWN: "not begun or ended early",
    }
    names |= {Standing.ROLLED_BACK: "rolled back", Standing.ROLLBACK_FAILED: "could not roll back"}
    names |= {Standing.ROLLBACK_AWAY: "away, to roll back when they return"}
    said += [f"{count[each]} {name}" for each, name in names.items() if count[each]]
    under_way = rollout.count(UNDERWAY)
    said += [f"{under_way} under way"] if under_way else []
    said += [f"{had} of {rollout.size} already had it"] if had else []
    said += [f"{refused} refused"] if refused else []
    return ", ".join(said) or "no device"


def happened(before: Rollout, after: Rollout) -> list[tuple[str, dict[str, Any]]]:
    """Return what people should be told of the way from `before` to `after`: sentences, each with its facts."""
    facts = {"rollout_id": after.id, "wave": after.wave + 1, "code": after.code, "reason": after.reason}
    told = []
    if after.phase is not before.phase and after.phase is P.RUNNING:
        told.append((f"rollout of {after.model} running", facts | {"phase": after.phase.value}))
    for index, (old, new) in enumerate(zip(before.waves, after.waves, strict=True)):
        if new.phase is not old.phase:
            text = f"rollout of {after.model}: wave {index + 1} of {len(after.waves)} {new.phase.value}"
            told.append((text, facts | {"wave": index + 1, "wave_phase": new.phase.value}))
    if after.phase is not before.phase and after.phase is not P.RUNNING:
        why = f" ({after.reason})" if after.reason else ""
        words = after.phase.value.replace("_", " ")
        told.append((f"rollout of {after.model} {words}{why}", facts | {"phase": after.phase.value}))
    return told
