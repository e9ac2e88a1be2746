"""Sums telemetry up by minute and by hour, device after device, from what is committed.

Each device has a time until which it is summed up. A step takes what came after it, writes whole minutes and the hours
that are whole with them, and moves the time on, all in one transaction: a crash at any moment leaves the step undone.
What arrives later than that (a spool, a clock that was behind) moves the time back, and the same step does it again.
Whoever reads takes the hour that is not over from its minutes, so each hour is summed up once.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from controller.storage.schema_rollups import FIGURES
from controller.storage.store import Store

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


def _first_sums() -> str:
    each = (f"min({f}) AS {f}_min, max({f}) AS {f}_max, sum({f}) AS {f}_sum, count({f}) AS {f}_n" for f in FIGURES)
    return ", ".join(each)


def _further_sums() -> str:
    each = (f"min({f}_min), max({f}_max), sum({f}_sum), sum({f}_n)" for f in FIGURES)
    return ", ".join(each)


_FIGURES = tuple(f"{f}_{how}" for f in FIGURES for how in ("min", "max", "sum", "n"))
_KEY = ("device_id", "ts", "energy_source")
COLUMNS = (*_KEY, "samples", "inferences", "model", "throttled", "charging_sum", "charging_n", *_FIGURES)
_REPLACE = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[3:])
_CONFLICT = f"ON CONFLICT (device_id, ts, energy_source) DO UPDATE SET {_REPLACE}"

_MINUTES = (
    f"INSERT INTO telemetry_minutes ({', '.join(COLUMNS)}) "  # noqa: S608 - our own columns
    "SELECT :device, floor(ts / 60) * 60 AS minute, coalesce(energy_source, '') AS source, count(*), "
    f"sum(inferences), max(model), max(throttled), sum(charging), count(charging), {_first_sums()} "
    f"FROM samples WHERE device_id = :device AND ts >= :begin AND ts < :end GROUP BY minute, source {_CONFLICT}"
)
_HOURS = (
    f"INSERT INTO telemetry_hours ({', '.join(COLUMNS)}) "  # noqa: S608 - our own columns
    "SELECT :device, floor(ts / 3600) * 3600 AS hour, energy_source, sum(samples), "
    f"sum(inferences), max(model), max(throttled), sum(charging_sum), sum(charging_n), {_further_sums()} "
    "FROM telemetry_minutes WHERE device_id = :device AND ts >= :begin AND ts < :end GROUP BY hour, energy_source "
    f"{_CONFLICT} WHERE excluded.samples >= telemetry_hours.samples"
)
"""An hour of which some minutes are gone by now stays as it was when they were there."""


@dataclass(slots=True, kw_only=True)
class Rollups:
    """The telemetry of every device by minute and hour; samples older than `raw_days` are not counted on any more."""

    store: Store
    raw_days: float = 30.0

    def tick(self, at: float) -> int:
        """Sum up the devices that wait longest, within the budget; return how many steps were made.

        To be called inside a transaction.
        """
        began = time.monotonic()
        closed = floor_to(at - LAG_S, MINUTE_S)
        waiting = self.store.query(
            "SELECT device_id, until FROM rolled WHERE until <= ? ORDER BY until LIMIT ?", [closed - EVERY_S, AT_ONCE]
        )
        behind = bool(waiting) and closed - waiting[0]["until"] > BEHIND_S
        ends = began + (BEHIND_BUDGET_S if behind else BUDGET_S)
        for steps, row in enumerate(waiting):
            if steps % SETTLED_AT_ONCE == 0:
                self.store.settle(*(each["device_id"] for each in waiting[steps : steps + SETTLED_AT_ONCE]))
            self.step(row["device_id"], row["until"], closed, oldest=at - self.raw_days * DAY_S)
            if time.monotonic() > ends:
                return steps + 1
        return len(waiting)

    def step(self, device_id: str, until: float, closed: float, *, oldest: float) -> None:
        """Sum up one device, whose samples have their keys, from `until` towards `closed`, a day at most.

        What is before `oldest` stays as it is.
        """
        first = begin = max(until, floor_to(oldest, MINUTE_S) + MINUTE_S)
        end = closed
        if closed - begin > STEP_S:
            begin = self._next_sample(device_id, begin, closed)
            end = closed if closed - begin <= STEP_S else floor_to(begin + STEP_S, HOUR_S)
        if end > begin:
            self.store.connection.execute(_MINUTES, {"device": device_id, "begin": begin, "end": end})
        done = max(begin, end)
        hour, next_hour = floor_to(first, HOUR_S), floor_to(done, HOUR_S)
        if next_hour > hour:
            self.store.connection.execute(_HOURS, {"device": device_id, "begin": hour, "end": next_hour})
        self.store.connection.execute("UPDATE rolled SET until = ? WHERE device_id = ?", [done, device_id])

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
        if ts < received_at - LATE_S:
            late[device_id] = min(ts, late.get(device_id, ts))
    if late:
        store.connection.executemany(
            "UPDATE rolled SET until = ? WHERE device_id = ? AND until > ?",
            [(floor_to(ts, MINUTE_S), device_id, floor_to(ts, MINUTE_S)) for device_id, ts in late.items()],
        )


def floor_to(ts: float, unit_s: float) -> float:
    """Return the beginning of the minute or hour of `ts`, Unix s."""
    return ts - ts % unit_s
