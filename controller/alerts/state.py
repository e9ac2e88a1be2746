"""The life of an alert, one rule on one subject: its states as a table, and one pure function.

What is made anew for every look is a Struct: to make and to change one takes a tenth of what a dataclass takes.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import msgspec
from msgspec.structs import replace

from controller.alerts.quantities import Reading
from controller.alerts.rule import Rule

FLAPS_WITHIN_S = 3_600.0
FLAPS_FROM = 3
"""So many beginnings within the hour are one alert that flaps, not several."""

KEPT_S = 86_400.0
"""How long a resolved alert is shown."""

MOST_TIMES = 20


class AlertState(StrEnum):
    """How a rule stands on a subject; the same word in REST, on the command line and in the dashboard."""

    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"
    NO_DATA = "no_data"
    RESOLVED = "resolved"


S = AlertState
NEXT: dict[AlertState, frozenset[AlertState]] = {
    S.OK: frozenset({S.PENDING, S.FIRING, S.NO_DATA}),
    S.PENDING: frozenset({S.OK, S.RESOLVED, S.FIRING, S.NO_DATA}),
    S.FIRING: frozenset({S.RESOLVED, S.NO_DATA}),
    S.NO_DATA: frozenset({S.OK, S.PENDING, S.FIRING, S.RESOLVED}),
    S.RESOLVED: frozenset({S.OK, S.PENDING, S.FIRING, S.NO_DATA}),
}
"""`firing` leads to `resolved` by a reading only; without readings it becomes `no_data`, and stays open."""

WAKEFUL = (S.PENDING, S.FIRING, S.NO_DATA)
"""States in which each new reading of a device matters; of others only one beyond a threshold does."""

MEANS: dict[AlertState, str] = {
    S.OK: "within its limits",
    S.PENDING: "beyond the threshold, not yet for long enough",
    S.FIRING: "beyond the threshold for as long as the rule says",
    S.NO_DATA: "no reading speaks of now; one that fired before stays open",
    S.RESOLVED: "it fired, and a reading said that it is over; shown for a day",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """Somebody has seen it."""

    who: str
    at: float
    note: str = ""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """How `rule` stands on `subject`, `since` when; `value`, `kind` and `reading_at` are of the newest reading.

    `held` says of one without data that it fired before. `fired` counts the beginnings since all was well, `fired_at`
    holds the newest of them. `clear_since` is from when on readings are fine again. `told` says that a receiver of
    notices knows that it is open.
    """

    rule: str
    subject: str
    since: float
    state: AlertState = S.OK
    value: float | None = None
    kind: str = ""
    reading_at: float | None = None
    held: bool = False
    clear_since: float | None = None
    fired: int = 0
    fired_at: tuple[float, ...] = ()
    resolved_at: float | None = None
    acknowledged: Acknowledgement | None = None
    told: bool = False
    why: str = ""
    deployment_id: str | None = None
    rollout_id: str | None = None

    @property
    def id(self) -> str:
        """What people call it."""
        return f"{self.rule}@{self.subject}"

    @property
    def open(self) -> bool:
        """Whether it began and nothing said that it is over."""
        return self.state is S.FIRING or (self.state is S.NO_DATA and self.held)

    @property
    def wakeful(self) -> bool:
        """Whether each new reading of its subject matters."""
        return self.state in WAKEFUL

    def stands_as(self, other: "Alert") -> bool:
        """Return whether nothing but the reading, and what it says, differs from how the same alert stood."""
        return (self.state, self.since, self.acknowledged) == (other.state, other.since, other.acknowledged)

    def flaps(self, at: float) -> bool:
        """Return whether it comes and goes: it is one entry then, and its receiver is told once."""
        return sum(at - began < FLAPS_WITHIN_S for began in self.fired_at) >= FLAPS_FROM


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """A reading that speaks of now."""

    reading: Reading


class NoNews(msgspec.Struct, frozen=True, kw_only=True):
    """The newest reading is too old, or there is none any more; `why` in words."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """A person has seen it."""

    who: str
    note: str = ""


Event = Read | NoNews | Acknowledged


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """The audited stream is to hear of it: a beginning, an end, news that stopped or came back."""

    word: Literal["firing", "resolved", "no_data", "data_back", "acknowledged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """A receiver outside is to hear that it is open, or over."""

    word: Literal["firing", "resolved"]


Effect = Note | Notify


def step(
    before: Alert, event: Event, rule: Rule, at: float, *, silenced: bool = False
) -> tuple[Alert, tuple[Effect, ...]]:
    """Return what `before` becomes at time `at`, and who hears of it; a silenced one runs on, and is told of later."""
    match event:
        case Read(reading=reading):
            after = _read(before, reading, rule, at)
        case NoNews(why=why):
            after = _fall_silent(before, why, at)
        case Acknowledged(who=who, note=note) if before.open:
            after = replace(before, acknowledged=Acknowledgement(who=who, at=at, note=note))
        case _:
            return before, ()
    return _told(after, _notes(before, after), at, silenced=silenced)


def goes_on(before: Alert, reading: Reading, rule: Rule, at: float) -> bool:
    """Return whether a reading that speaks of now changes nothing but the figure of what fires, or is on its way."""
    about = (before.kind, before.deployment_id, before.rollout_id, before.why)
    if about != (reading.kind, reading.deployment_id, reading.rollout_id, ""):
        return False
    if before.state is S.FIRING:
        return before.told and before.clear_since is None and not rule.cleared(reading.value)
    return (
        before.state is S.PENDING
        and not before.told
        and at - before.since < rule.for_s
        and rule.breached(reading.value)
    )


def _read(before: Alert, reading: Reading, rule: Rule, at: float) -> Alert:
    if before.reading_at is not None and reading.at <= before.reading_at <= at:
        return before  # judged already; a time that is still to come is from before the clock was set back
    if before.open and reading.kind != before.kind:
        return _hear_other_kind(before, reading, rule, at)
    heard = replace(
        before,
        value=reading.value,
        kind=reading.kind,
        reading_at=reading.at,
        why="",
        deployment_id=reading.deployment_id,
        rollout_id=reading.rollout_id,
    )
    if before.open:
        return _while_open(heard, rule, at)
    if not rule.breached(reading.value):
        return _calm(heard, at)
    pending = before.state is S.PENDING and before.kind == reading.kind
    since = before.since if pending else at
    if at - since >= rule.for_s:
        return _fire(heard, at)
    return replace(heard, state=S.PENDING, since=since)


def _hear_other_kind(before: Alert, reading: Reading, rule: Rule, at: float) -> Alert:
    """Return an open alert that hears of another kind of energy: that says nothing of the kind it fired for."""
    if before.reading_at is None or at - before.reading_at <= rule.no_data_after_s:
        return before
    return _fall_silent(before, f"energies are {reading.kind or 'without a source'} now, {before.kind} before", at)


def _while_open(heard: Alert, rule: Rule, at: float) -> Alert:
    firing = heard if heard.state is S.FIRING else replace(heard, state=S.FIRING, since=at, held=False)
    if not rule.cleared(heard.value if heard.value is not None else rule.threshold):
        return replace(firing, clear_since=None)
    clear_since = at if heard.clear_since is None else heard.clear_since
    if at - clear_since < rule.clear_for_s:
        return replace(firing, clear_since=clear_since)
    return replace(firing, state=S.RESOLVED, since=at, resolved_at=at, clear_since=None)


def _fire(heard: Alert, at: float) -> Alert:
    times = (*heard.fired_at, at)[-MOST_TIMES:]
    kept = heard.acknowledged if heard.flaps(at) else None
    return replace(
        heard, state=S.FIRING, since=at, held=False, fired=heard.fired + 1, fired_at=times, acknowledged=kept
    )


def _calm(heard: Alert, at: float) -> Alert:
    """Return what is within its limits: resolved while that is news, else as if nothing had ever been."""
    if heard.resolved_at is not None and at - heard.resolved_at < KEPT_S:
        return replace(heard, state=S.RESOLVED, since=heard.resolved_at)
    since = heard.since if heard.state is S.OK else at
    return replace(
        heard, state=S.OK, since=since, fired=0, fired_at=(), resolved_at=None, acknowledged=None, clear_since=None
    )


def _fall_silent(before: Alert, why: str, at: float) -> Alert:
    if before.state is S.NO_DATA:
        return before if before.why == why else replace(before, why=why)
    held = before.state is S.FIRING
    return replace(before, state=S.NO_DATA, since=at, held=held, clear_since=None, why=why)


def _notes(before: Alert, after: Alert) -> tuple[Effect, ...]:
    if after.state is before.state and after.acknowledged is before.acknowledged:
        return ()
    if after.open and not before.open:
        return (Note(word="firing"),)
    if before.open and not after.open:
        return (Note(word="resolved"),)
    if after.open and after.state is not before.state:
        return (Note(word="no_data" if after.state is S.NO_DATA else "data_back"),)
    if after.acknowledged is not before.acknowledged and after.acknowledged is not None:
        return (Note(word="acknowledged"),)
    return ()


def _told(after: Alert, notes: tuple[Effect, ...], at: float, *, silenced: bool) -> tuple[Alert, tuple[Effect, ...]]:
    if not after.told and after.open and not silenced and after.acknowledged is None:
        return replace(after, told=True), (*notes, Notify(word="firing"))
    if after.told and not after.open and not after.flaps(at):
        return replace(after, told=False), (*notes, Notify(word="resolved"))
    return after, notes
