"""Where samples are kept: in the order of their arrival, with keys that are written later, device by device.

A key has its place beside those of its device: written with each sample it would cost a page of the file where a
hundred thousand devices take turns. So what arrives is appended, which is committed with everything else; where it is
in time, and that its number is known, follows within a minute or two, a dozen of a device at once; of a device that
somebody asks for at once. A sample that came twice finds its number known, and is removed.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, compress, count, repeat
from math import inf
from operator import itemgetter
from typing import Any

from controller.storage import runs
from controller.storage.leaving import Leaving
from controller.storage.runs import Run
from controller.storage.sample_table import Sample, insertion
from controller.storage.sqlite import SQLiteConnection

Known = tuple[tuple[str, str, float, int], int]
"""Of a sample its device, its session, when it was taken (Unix s) and its number there; and its number here."""

UP_TO = "UPDATE telemetry_written SET up_to = ?"
"""Up to which sample every key is written."""
_ENDS = "SELECT coalesce((SELECT max(id) FROM telemetry), 0), up_to FROM telemetry_written"
_TIMES = "INSERT INTO telemetry_times (device_id, ts, sample) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_IN_TIME = "SELECT 1 FROM telemetry_times WHERE device_id = ? AND ts = ? AND sample = ?"
_REMOVE = "DELETE FROM telemetry WHERE id = ?"


@dataclass(slots=True)
class _Waiting:
    """Samples of a device's session that have no keys yet: when each was taken, its number there, and its own."""

    session: str
    older: "_Waiting | None"
    times: "array[float]" = field(default_factory=lambda: array("d"))
    seqs: "array[int]" = field(default_factory=lambda: array("q"))
    owns: "array[int]" = field(default_factory=lambda: array("q"))

    @property
    def run(self) -> Run | None:
        """Their numbers, where these follow each other."""
        first, size = self.seqs[0], len(self.seqs)
        if self.seqs != array("q", range(first, first + size)):
            return None
        return Run(first, first + size - 1, max(self.times))

    @property
    def oldest(self) -> float:
        """When the oldest of the device was taken, Unix s."""
        return min(min(part.times) for part in self.parts())

    def parts(self) -> "Iterator[_Waiting]":
        """Yield the sessions, oldest first."""
        if self.older is not None:
            yield from self.older.parts()
        yield self


class Heap:
    """The table of a file; what it knows of samples without keys is what the file would say, after each transaction."""

    def __init__(self, connection: SQLiteConnection) -> None:
        """Keep them through `connection`."""
        self._connection = connection
        self._leaving = Leaving(connection)
        self._held = False
        self._waiting: dict[str, _Waiting] = {}
        self._added: list[Iterable[Known]] = []
        self._written: dict[str, _Waiting] = {}
        self._unsure, self._stale = False, True
        self._promised: int | None = None

    def add(self, columns: tuple[str, ...], rows: Sequence[Sample]) -> None:
        """Append rows; their keys follow, at once unless they are held."""
        self._refresh()
        top, up_to = self._ends()
        if up_to > top:  # the newest ones were removed, and their numbers come again
            self._connection.execute(UP_TO, [top])
        self._connection.executemany(insertion(columns), rows)
        self._added.append(zip(map(_known(columns), rows), count(top + 1), strict=False))
        if not self._held:
            self.settle({row[0] for row in rows})
            if up_to >= top:
                self._connection.execute(UP_TO, [self._ends()[0]])

    def waits(self, device_ids: Iterable[str]) -> bool:
        """Return whether keys of these devices are to be written, or may be."""
        return self._stale or bool(self._added) or any(name in self._waiting for name in device_ids)

    def settle(self, device_ids: Iterable[str], before: float = inf) -> None:
        """Write the keys that these devices wait for, where there is one that was taken before a time (Unix s)."""
        self._refresh()
        if self._added:
            self._let_wait()
            self._unsure = True
        waiting = self._waiting
        found = {name: waiting.pop(name) for name in device_ids if name in waiting and waiting[name].oldest < before}
        if found:
            self._written |= found
            self._write(found)

    def begin_removal(self, before: float) -> None:
        """Begin with what came first."""
        self._leaving.begin(before, self._ends()[1])

    def remove(self, device_id: str, most: int) -> int:
        """Remove keys of the oldest that have any."""
        self._promised = None  # numbers of samples that are removed may come again
        return self._leaving.remove(device_id, most)

    def end_removal(self, most: int) -> bool:
        """Remove what no key points to any more."""
        self._promised = None
        return self._leaving.sweep(most)

    def hold(self) -> None:
        """Write keys later from now on."""
        self._held = True

    def begin_walk(self) -> list[str]:
        """Note how far all keys are written when those of these devices are."""
        self._refresh()
        self._promised = self._ends()[0]
        return list(self._waiting)

    def end_walk(self) -> None:
        """Write that down, if nothing came in between."""
        if self._promised is not None and self._promised != self._ends()[1]:
            self._connection.execute(UP_TO, [self._promised])
        self._promised = None

    def committed(self) -> None:
        """Let what was added wait."""
        self._leaving.committed()
        self._let_wait()
        self._written.clear()
        self._unsure = False

    def rolled_back(self, *, part: bool) -> None:
        """Let wait again what was written, or ask the file where only it knows what is left."""
        self._leaving.rolled_back()
        if not (self._added or self._written or self._unsure):
            return
        self._stale = self._stale or part or self._unsure
        self._waiting |= self._written
        self._added.clear()
        self._written.clear()
        self._promised = None

    def _write(self, found: Mapping[str, _Waiting]) -> None:
        parts = [(device_id, part) for device_id, waiting in found.items() for part in waiting.parts()]
        for device_id, part in parts:
            added = part.run
            if added is None or not runs.extend(self._connection, (device_id, part.session), added):
                self._place(device_id, part)
        times = (zip(repeat(name), part.times, part.owns, strict=False) for name, part in parts)
        self._connection.executemany(_TIMES, chain.from_iterable(times))

    def _place(self, device_id: str, part: _Waiting) -> None:
        """Let numbers be known that are no run of their own, or meet others; remove what came twice."""
        session = device_id, part.session
        before = runs.touched(self._connection, session, min(part.seqs), max(part.seqs))
        known: set[int] = set()
        first: list[bool] = []
        for ts, seq, own in zip(part.times, part.seqs, part.owns, strict=True):
            double = seq in known or (runs.within(before, seq) and not self._is_in_time(device_id, ts, own))
            first.append(not double)
            known.add(seq)
        if not all(first):
            self._remove_doubles(part, first)
        runs.add(
            self._connection,
            session,
            before,
            (Run(seq, seq, ts) for ts, seq in zip(part.times, part.seqs, strict=True)),
        )

    def _is_in_time(self, device_id: str, ts: float, own: int) -> bool:
        """Return whether a sample has its keys already: a start looks at some of those once more."""
        return self._connection.execute(_IN_TIME, [device_id, ts, own]).fetchone() is not None

    def _remove_doubles(self, part: _Waiting, first: Sequence[bool]) -> None:
        """Remove samples that are not the `first` of their number, and forget that they were there."""
        doubles = [(own,) for own, is_first in zip(part.owns, first, strict=True) if not is_first]
        self._connection.executemany(_REMOVE, doubles)
        part.times = array("d", compress(part.times, first))
        part.seqs, part.owns = (array("q", compress(numbers, first)) for numbers in (part.seqs, part.owns))
        self._promised, self._unsure = None, True

    def _let_wait(self) -> None:
        """Let what was added wait for its keys."""
        self._wait(chain.from_iterable(self._added))
        self._added.clear()

    def _wait(self, samples: Iterable[Known]) -> None:
        for (device_id, session, ts, seq), own in samples:
            waiting = self._waiting.get(device_id)
            if waiting is None or waiting.session != session:
                waiting = self._waiting[device_id] = _Waiting(session, waiting)
            waiting.times.append(ts)
            waiting.seqs.append(seq)
            waiting.owns.append(own)

    def _refresh(self) -> None:
        """Ask the file for what has no keys, where we do not know it: at the beginning, and after an accident."""
        if self._stale:
            self._stale, self._unsure = False, self._connection.in_transaction
            self._waiting.clear()
            sql = "SELECT device_id, session, ts, seq, id FROM telemetry WHERE id > ?"
            self._wait((row[:4], row[4]) for row in self._connection.execute(sql, [self._ends()[1]]))

    def _ends(self) -> tuple[int, int]:
        """Return the number of the newest sample, and the one up to which all keys are written."""
        [(top, up_to)] = self._connection.execute(_ENDS)
        return top, up_to


@lru_cache
def _known(columns: tuple[str, ...]) -> Callable[[Sample], Any]:
    """Return what tells of a row of `columns` the first part of what is `Known`."""
    return itemgetter(*(columns.index(name) for name in ("device_id", "session", "ts", "seq")))
