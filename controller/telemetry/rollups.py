"""Sums telemetry up by minute and by hour, device after device, from what is committed.

Each device has a time until which it is summed up. A step takes what came after it, writes whole minutes and the hours
that are whole with them, and moves the time on, all in one transaction: a crash at any moment leaves the step undone.
What arrives later than that (a spool, a clock that was behind) moves the time back, and the same step does it again.
Whoever reads takes the hour that is not over from its minutes, so each hour is summed up once.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from controller.storage.store import Row, Store
from controller.telemetry.sums import ADD_HOURS, ADD_MINUTES

MINUTE_S, HOUR_S, DAY_S = 60.0, 3_600.0, 86_400.0

LATE_S = 120.0
"""A sample that is older than this when it arrives may be of a minute that is summed up already."""

LAG_S = 180.0
"""The newest minutes are left alone for so long: what is not late is committed by then."""

EVERY_S = 300.0
"""A device is taken up again when so much of it is not summed up."""

AT_ONCE = 500
SETTLED_AT_ONCE = 25
"""Devices whose samples are given their keys together, before each has its step."""

STEP_S = DAY_S
"""How much of one device a step takes at most."""

BUDGET_S, BEHIND_BUDGET_S = 0.05, 0.15
"""A tick ends after this long; the next one goes on with the device that waits longest."""

BEHIND_S = 900.0
"""A tick may take the longer time where so much of a device is not summed up: 20,000 samples a second need a tenth."""

MOVE_ON = "UPDATE rolled SET until = ? WHERE device_id = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a step takes of a device that is summed up until `first`: its samples from `begin` to `end`, Unix s."""

    device_id: str
    first: float
    begin: float
    end: float

    @property
    def done(self) -> float:
        """Until when the device is summed up after it."""
        return max(self.begin, self.end)

    @property
    def hours(self) -> tuple[float, float]:
        """From when to when its hours are whole after it."""
        return floor_to(self.first, HOUR_S), floor_to(self.done, HOUR_S)


@dataclass(slots=True, kw_only=True)
class Rollups:
    """The telemetry of every device by minute and hour; samples older than `raw_days` are not counted on any more.

    While they are summed up `beside` the event loop (`controller.telemetry.summing`), a tick does nothing.
    """

    store: Store
    raw_days: float = 30.0
    beside: bool = False

    def __post_init__(self) -> None:
        """Know what an earlier life summed up: the clock may have been set back since."""
        [newest] = self.store.query("SELECT coalesce(max(until), 0) AS until FROM rolled")
        self.store.summed.up_to = max(self.store.summed.up_to, newest["until"])

    def tick(self, at: float) -> int:
        """Sum up the devices that wait longest, within the budget; return how many steps were made.

        To be called inside a transaction.
        """
        if self.beside:
            return 0
        began, closed = time.monotonic(), closed_at(at)
        waiting = self.waiting(closed, AT_ONCE)
        behind = bool(waiting) and closed - waiting[0]["until"] > BEHIND_S
        ends = began + (BEHIND_BUDGET_S if behind else BUDGET_S)
        for steps, row in enumerate(waiting):
            if steps % SETTLED_AT_ONCE == 0:
                self.store.settle(*(each["device_id"] for each in waiting[steps : steps + SETTLED_AT_ONCE]))
            self.step(row["device_id"], row["until"], closed, oldest=self.oldest(at))
            if time.monotonic() > ends:
                return steps + 1
        return len(waiting)

    def waiting(self, closed: float, most: int) -> list[Row]:
        """Return the devices of which enough is not summed up, and until when they are: who waits longest first.

        To be called inside a transaction. What was summed up before the clock was set back will be once more.
        """
        self.store.summed.up_to = closed
        self.store.connection.execute("UPDATE rolled SET until = ? WHERE until > ?", [closed, closed])
        sql = "SELECT device_id, until FROM rolled WHERE until <= ? ORDER BY until LIMIT ?"
        return self.store.query(sql, [closed - EVERY_S, most])

    def oldest(self, at: float) -> float:
        """Return up to when samples are not counted on any more, Unix s."""
        return at - self.raw_days * DAY_S

    def part(self, device_id: str, until: float, closed: float, *, oldest: float) -> Part:
        """Return what is next of a device, whose samples have their keys: from `until` towards `closed`, a day at most.

        What is before `oldest` stays as it is.
        """
        first = begin = max(until, whole_after(oldest))
        end = closed
        if closed - begin > STEP_S:
            begin = self._next_sample(device_id, begin, closed)
            end = closed if closed - begin <= STEP_S else floor_to(begin + STEP_S, HOUR_S)
        return Part(device_id=device_id, first=first, begin=begin, end=end)

    def step(self, device_id: str, until: float, closed: float, *, oldest: float) -> None:
        """Sum up one `part` of a device."""
        part, connection = self.part(device_id, until, closed, oldest=oldest), self.store.connection
        if part.end > part.begin:
            connection.execute(ADD_MINUTES, {"device": device_id, "begin": part.begin, "end": part.end})
        hour, next_hour = part.hours
        if next_hour > hour:
            connection.execute(ADD_HOURS, {"device": device_id, "begin": hour, "end": next_hour})
        connection.execute(MOVE_ON, [part.done, device_id])

    def _next_sample(self, device_id: str, begin: float, closed: float) -> float:
        """Return the minute of the first sample from `begin` on, `closed` where there is none before it."""
        [row] = self.store.query(
            "SELECT min(ts) AS ts FROM telemetry_times WHERE device_id = ? AND ts >= ?", [device_id, begin]
        )
        return closed if row["ts"] is None else min(floor_to(row["ts"], MINUTE_S), closed)


def note_late(store: Store, samples: Iterable[tuple[str, float, float]]) -> None:
    """Let what was summed up be summed up again for those of (device, sample's time, received at) that are late."""
    late: dict[str, float] = {}
    for device_id, ts, received_at in samples:
        if ts < received_at - LATE_S or ts < store.summed.up_to:
            late[device_id] = min(ts, late.get(device_id, ts))
    if late:
        minutes = [(floor_to(ts, MINUTE_S), device_id) for device_id, ts in late.items()]
        store.summed.cut(minutes)
        store.connection.executemany(
            "UPDATE rolled SET until = ? WHERE device_id = ? AND until > ?",
            [(minute, device_id, minute) for minute, device_id in minutes],
        )


def floor_to(ts: float, unit_s: float) -> float:
    """Return the beginning of the minute or hour of `ts`, Unix s."""
    return ts - ts % unit_s


def whole_after(oldest: float) -> float:
    """Return the first minute of which no sample is before `oldest`, Unix s."""
    return floor_to(oldest, MINUTE_S) + MINUTE_S


def closed_at(at: float) -> float:
    """Return up to when samples may be summed up at a time, Unix s."""
    return floor_to(at - LAG_S, MINUTE_S)
