"""Removes samples that are too old from a file: keys device by device, what they point to in the order of arrival.

What came first is nearly always what is too old first: it lies side by side, so it goes a stretch at a time, once no
key points there any more. Only what came late, or from a clock that was ahead, is looked for one by one.
"""

from bisect import bisect_left

from controller.storage.sqlite import SQLiteConnection

_ENDS = "SELECT coalesce((SELECT min(id) FROM telemetry), 1), coalesce((SELECT max(id) FROM telemetry), 0)"
_CAME_AT = "SELECT coalesce(received_at, 0) FROM telemetry WHERE id >= ? ORDER BY id LIMIT 1"
_CUT = (
    "SELECT max(ts) FROM (SELECT ts FROM telemetry_times WHERE device_id = ? AND ts < ? ORDER BY ts LIMIT ?) AS oldest"
)
_THEIRS = "FROM telemetry_times WHERE device_id = ? AND ts <= ?"
_ELSEWHERE = f"DELETE FROM telemetry WHERE id IN (SELECT sample {_THEIRS} AND (sample <= ? OR sample > ?))"  # noqa: S608 - our own words
_KEYS = "DELETE FROM telemetry_runs WHERE device_id = ? AND until <= ?", f"DELETE {_THEIRS}"
_NEXT = "SELECT max(id) FROM (SELECT id FROM telemetry WHERE id > ? AND id <= ? ORDER BY id LIMIT ?)"
_STRETCH = "DELETE FROM telemetry WHERE id > ? AND id <= ? AND ts < ?"


FRONT_EVERY = 100
"""One in so many passes begins at the front of the file: there is what a kill, or what was undone, has left."""


class Leaving:
    """What leaves a file, in passes: in between there may be samples that have no key, which nobody finds."""

    def __init__(self, connection: SQLiteConnection) -> None:
        """Remove through `connection`."""
        self._connection = connection
        self._before = 0.0
        self._low = self._high = self._passes = 0
        self._unsure = False

    def begin(self, before: float, up_to: int) -> None:
        """Begin a pass: what came before a time (Unix s), and has its keys, that is `up_to` a number, is a stretch."""
        [(first, top)] = self._connection.execute(_ENDS)
        at_front = self._passes % FRONT_EVERY == 0 or self._low > top  # whose numbers come again
        self._low = first - 1 if at_front else max(self._low, first - 1)
        came = bisect_left(range(self._low + 1, top + 1), before, key=self._came_at)
        self._before, self._high = before, max(self._low, min(self._low + came, up_to))
        self._passes += 1

    def remove(self, device_id: str, most: int) -> int:
        """Remove keys of the oldest of a device, and what they point to outside of the stretch; return how many."""
        [(cut,)] = self._connection.execute(_CUT, [device_id, self._before, most])
        if cut is None:
            return 0
        self._unsure = True
        self._connection.execute(_ELSEWHERE, [device_id, cut, self._low, self._high])
        return [self._connection.execute(sql, [device_id, cut]).rowcount for sql in _KEYS][-1]

    def sweep(self, most: int) -> bool:
        """Remove some `most` of the stretch, whose keys are gone; return whether all of it is done."""
        [(until,)] = self._connection.execute(_NEXT, [self._low, self._high, most])
        if until is not None:
            self._connection.execute(_STRETCH, [self._low, until, self._before])
        self._low = until or self._high
        return until is None

    def committed(self) -> None:
        """Be told that keys which were removed are gone."""
        self._unsure = False

    def rolled_back(self) -> None:
        """Leave the stretch to a later pass where keys came back: they point to it."""
        if self._unsure:
            self._high, self._unsure = self._low, False

    def _came_at(self, number: int) -> float:
        [(came_at,)] = self._connection.execute(_CAME_AT, [number])
        return float(came_at)
