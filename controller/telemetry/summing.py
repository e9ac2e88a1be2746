"""Sums telemetry up beside the event loop: a thread reads the file, the loop writes down what is right then.

Some devices are in hand at a time. Their samples have their keys, and that is committed, before the thread looks; what
comes for them meanwhile cuts them at its minute (`note_late`), and what went for its age leaves them for another time.
So only what the samples say is written, each device with its time in one transaction, as `Rollups.step` does.
"""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from broker.errors import StorageError
from controller.storage.sqlite import SQLiteConnection
from controller.storage.store import Row
from controller.telemetry.rollups import (
    EVERY_S,
    HOUR_S,
    MOVE_ON,
    STEP_S,
    Part,
    Rollups,
    closed_at,
    floor_to,
    whole_after,
)
from controller.telemetry.sums import CUT_HOURS, CUT_MINUTES, MAKE_HOURS, MAKE_MINUTES, TABLES, TAKE_HOURS, TAKE_MINUTES

logger = logging.getLogger(__name__)

SPAN_S = STEP_S
AT_ONCE = int(SPAN_S / EVERY_S)
"""Devices in hand, and how much of all of them together: 17,000 samples at 5 s, read in a tenth of a second."""

LOOK_EVERY_S = 1.0
"""Where no device is due, or something failed."""

BEHIND_S = 120.0
REST_S, BEHIND_REST_S = 0.5, 0.05
"""Between devices and the next ones; the shorter where one waits so long: some 400 devices in a second, or 1,000."""


@dataclass(slots=True)
class Summing:
    """One reading and writing after the other, between them whatever else the loop does."""

    rollups: Rollups
    connection: SQLiteConnection

    def begin(self, at: float) -> tuple[list[Part], bool]:
        """Take devices in hand; return their parts, and whether the first one waits for long. Raises StorageError."""
        store, closed = self.rollups.store, closed_at(at)
        with store.transaction():
            due = chosen(self.rollups.waiting(closed, AT_ONCE), closed)
            store.samples.settle((row["device_id"] for row in due), closed)
            oldest = self.rollups.oldest(at)
            parts = [self.rollups.part(row["device_id"], row["until"], closed, oldest=oldest) for row in due]
        store.summed.now = {part.device_id: part.done for part in parts}
        return parts, bool(due) and due[0]["until"] < closed - EVERY_S - BEHIND_S

    def end(self, parts: Sequence[Part], made: sqlite3.Connection, at: float) -> None:
        """Write down what was `made`, as far as it is right. Raises StorageError, and nothing is written then."""
        store, connection = self.rollups.store, self.connection
        done = reached(parts, store.summed.now, whole_after(self.rollups.oldest(at)))
        store.summed.now = {}
        _cut(made, [(p.device_id, done.get(p.device_id, 0.0)) for p in parts if done.get(p.device_id) != p.done])
        with connection.with_made(), store.transaction():
            for sql in (TAKE_MINUTES, TAKE_HOURS):
                connection.execute(sql)
            connection.executemany(MOVE_ON, [(ts, device_id) for device_id, ts in done.items()])


def _cut(made: sqlite3.Connection, ends: Sequence[tuple[str, float]]) -> None:
    """Let each of these devices have no more than what is before its time."""
    made.executemany(CUT_MINUTES, ends)
    made.executemany(CUT_HOURS, [(device_id, floor_to(ts, HOUR_S)) for device_id, ts in ends])


def chosen(waiting: Sequence[Row], closed: float) -> list[Row]:
    """Return the first of the devices that wait, one at least, as many as are not too much together."""
    left, taken = SPAN_S, list[Row]()
    for row in waiting:
        left -= min(closed - row["until"], STEP_S)
        if taken and left < 0:
            break
        taken.append(row)
    return taken


def reached(parts: Sequence[Part], right: dict[str, float], whole: float) -> dict[str, float]:
    """Return until when devices are summed up now: as far as their parts are `right`, unless `whole` is later.

    A device that came no further is left out.
    """
    ends = ((part, right[part.device_id]) for part in parts if part.begin >= whole)
    return {part.device_id: until for part, until in ends if until > part.begin or until == part.done}


def make(made: sqlite3.Connection, parts: Sequence[Part]) -> None:
    """Sum up what is committed, into tables in memory; from a thread.

    Each statement does all of it: a thread that steps from row to row waits for a busy loop at each of them.
    """
    due = [(part.device_id, part.begin, part.end, *part.hours) for part in parts]
    over = [each for each, part in zip(due, parts, strict=True) if part.hours[0] < part.hours[1]]
    for sql in TABLES:
        made.execute(sql)
    made.execute(MAKE_MINUTES, {"due": json.dumps(due)})
    if over:
        made.execute(MAKE_HOURS, {"due": json.dumps(over)})


async def _in_thread(made: sqlite3.Connection, parts: Sequence[Part]) -> None:
    """Let a thread make sums; when cancelled, have it end first, and at once."""
    making = asyncio.get_running_loop().run_in_executor(None, make, made, parts)
    try:
        await asyncio.shield(making)
    except asyncio.CancelledError:
        made.interrupt()
        with suppress(sqlite3.Error):
            await making
        raise


async def sum_up(rollups: Rollups, clock: Callable[[], float], note: Callable[[StorageError], None]) -> None:
    """Sum up until cancelled, and `note` what cannot be read or written; leave it to ticks where there is no file."""
    connection = rollups.store.connection
    if not isinstance(connection, SQLiteConnection) or connection.path is None:
        return
    summing, rollups.beside = Summing(rollups, connection), True
    while True:
        rest_s = LOOK_EVERY_S
        try:
            parts, behind = summing.begin(clock())
            if parts:
                with connection.beside() as made:
                    await _in_thread(made, parts)
                    summing.end(parts, made, clock())
                rest_s = BEHIND_REST_S if behind else REST_S
        except StorageError as error:
            note(error)
            logger.warning("sums are not made, trying again: reason=%s", error.message)
        await asyncio.sleep(rest_s)
