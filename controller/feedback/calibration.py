"""The workflow of calibrating a device: benchmarks one after another, then a fit; pure, no clock, no store, no bus."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from controller.feedback.ledger import Entry

State = Literal["running", "paused", "done", "failed", "cancelled"]
"""`paused`: the device is away or busy, and the workflow goes on by itself when it is not."""

Outcome = Literal["waiting", "asked", "measured", "skipped"]

ENDED: frozenset[str] = frozenset({"done", "failed", "cancelled"})

FEWEST_RUNS = 2
"""Below it a correction cannot be checked by leaving one run out."""

MOST_TRIES = 3
"""How often a model is asked for when the device goes away under it."""

ANSWER_WITHIN_S = 600.0
"""How long a device may take for one benchmark: download, load, a minute of inferences, and what was queued before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One model to be measured; energy in mJ per inference, `reason` why it was skipped."""

    model: str
    outcome: Outcome = "waiting"
    command_id: str | None = None
    asked_at: float | None = None
    tries: int = 0
    energy_mj: float | None = None
    source: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """One calibration of a device; errors are mean absolute percentages on its runs, `after` with each run left out."""

    id: str
    device_id: str
    who: str
    created_at: float
    items: tuple[Item, ...]
    state: State = "running"
    since: float = 0.0
    reason: str | None = None
    correction_id: int | None = None
    before_percent: float | None = None
    after_percent: float | None = None

    @property
    def ended(self) -> bool:
        """Whether it is over; it never changes again."""
        return self.state in ENDED

    @property
    def asked(self) -> Item | None:
        """The model that the device is measuring."""
        return next((item for item in self.items if item.outcome == "asked"), None)

    @property
    def waiting(self) -> bool:
        """Whether there is a model that the device was not asked for yet."""
        return any(item.outcome == "waiting" for item in self.items)

    @property
    def measured(self) -> int:
        """How many models have been measured."""
        return sum(item.outcome == "measured" for item in self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the controller sees of the device and of the benchmark that it was asked for.

    `obstacle` is why nothing may be asked of it now, None when it is there and idle. `answer` is the command's phase,
    None while it has not ended; `result` and `error` come with its end. `lost` says that nobody took it in time.
    """

    obstacle: str | None = None
    away: bool = False
    answer: Literal["succeeded", "failed"] | None = None
    lost: bool = False
    result: Entry | None = None
    error: str | None = None


Todo = Literal["", "ask", "fit"]


def advance(before: Calibration, seen: Seen, at: float) -> tuple[Calibration, Todo]:
    """Return what `before` becomes, and what to do: ask for the next model (see `asking`), or fit the correction."""
    if before.ended:
        return before, ""
    current = before.asked
    if current is not None:
        here_since = before.since if before.state == "running" else at
        waited_s = at - max(here_since, at if current.asked_at is None else current.asked_at)
        after = _with(before, _answered(current, seen, late=not seen.away and waited_s >= ANSWER_WITHIN_S))
        if after.asked is not None:
            return (_moved(after, "paused", seen.obstacle, at) if seen.away else _moved(after, "running", None, at)), ""
        before = after
    if not before.waiting:
        if before.measured >= FEWEST_RUNS:
            return before, "fit"
        reason = f"{before.measured} of {len(before.items)} models could be measured, {FEWEST_RUNS} are needed"
        return _moved(before, "failed", reason, at), ""
    if seen.obstacle:
        return _moved(before, "paused", seen.obstacle, at), ""
    return _moved(before, "running", None, at), "ask"


def next_model(calibration: Calibration) -> str:
    """Return the model to ask for; only after `advance` said so."""
    return next(item.model for item in calibration.items if item.outcome == "waiting")


def asking(before: Calibration, command_id: str, at: float) -> Calibration:
    """Return `before` once the next model was asked for as `command_id`."""
    item = next(item for item in before.items if item.outcome == "waiting")
    return _with(before, replace(item, outcome="asked", command_id=command_id, asked_at=at, tries=item.tries + 1))


def skipping(before: Calibration, reason: str) -> Calibration:
    """Return `before` without its next model, which could not even be asked for."""
    item = next(item for item in before.items if item.outcome == "waiting")
    return _with(before, replace(item, outcome="skipped", reason=reason))


def ending(before: Calibration, state: State, reason: str | None, at: float, **facts: Any) -> Calibration:
    """Return `before` ended; one that has ended stays as it was."""
    return before if before.ended else replace(_moved(before, state, reason, at), **facts)


def _answered(item: Item, seen: Seen, *, late: bool) -> Item:
    if seen.answer == "succeeded":
        return _measured(item, seen)
    if seen.answer == "failed":
        return replace(item, outcome="skipped", reason=seen.error or "the benchmark failed")
    if not (seen.lost or late):
        return item
    if late or item.tries >= MOST_TRIES:
        return replace(item, outcome="skipped", reason="no answer" if late else f"not taken in {item.tries} tries")
    return replace(item, outcome="waiting", command_id=None, asked_at=None)


def _measured(item: Item, seen: Seen) -> Item:
    entry = seen.result
    if entry is None:
        return replace(item, outcome="skipped", reason="the device reported no energy: it has no power meter")
    if not entry.teaches:
        reason = f"energy from source {entry.source} was not measured"
        return replace(item, outcome="skipped", reason=reason, energy_mj=entry.actual_mj, source=entry.source)
    return replace(item, outcome="measured", energy_mj=entry.actual_mj, source=entry.source)


def _moved(before: Calibration, state: State, reason: str | None, at: float) -> Calibration:
    if (before.state, before.reason) == (state, reason):
        return before
    return replace(before, state=state, reason=reason, since=at if state != before.state else before.since)


def _with(before: Calibration, item: Item) -> Calibration:
    return replace(before, items=tuple(item if each.model == item.model else each for each in before.items))
