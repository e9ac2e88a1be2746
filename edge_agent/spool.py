"""Keeps telemetry that could not be sent: a minute of it in memory, the rest on disk, bounded and over restarts."""

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from broker.errors import StorageError, WireError
from broker.messages import Telemetry
from broker.wire import decode, encode
from edge_agent.files import append, write_whole
from edge_agent.thinning import to_thin

SEGMENT_BYTES = 32_000
"""What is sent and thinned in one piece: 60 to 120 samples, half of what a payload may have."""

EVERY_S = 60.0
"""How old the oldest sample in memory may become: what a power cut or a kill costs at most."""

MOST_BYTES = 16_000_000
"""Two days and more at a sample in 5 s; then they are thinned."""

MEMORY_BYTES = 512_000
"""What may wait in memory while the disk takes nothing."""

_NAME = re.compile(r"(\d{10})-(\d{10})-(\d{1,2})\.jsonl")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """A file of samples that follow each other, `first` to `last` of all segments; every 2^`level`-th is left."""

    first: int
    last: int
    level: int = 0

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.first:010d}-{self.last:010d}-{self.level}.jsonl"

    @classmethod
    def of(cls, name: str) -> Self | None:
        """Return what the file `name` is; None for a stranger."""
        found = _NAME.fullmatch(name)
        return cls(*map(int, found.groups())) if found else None

    def joined(self, later: "Segment") -> "Segment":
        """Return what this and its neighbour become when every second sample of both is left."""
        return Segment(self.first, later.last, self.level + 1)


@dataclass(frozen=True, slots=True)
class Batch:
    """The oldest samples that wait, and where they are: a segment, or lines in memory."""

    samples: tuple[Telemetry, ...]
    segment: Segment | None
    lines: tuple[bytes, ...] = ()


class Spool:
    """The samples that wait, oldest first: segments in `folder`, then what is in memory only.

    `thinned` counts those that were given up. With `most_bytes` of 0 nothing is written.
    """

    def __init__(
        self, folder: Path, *, most_bytes: int = MOST_BYTES, steady: Callable[[], float] = time.monotonic
    ) -> None:
        """Find what an earlier life left."""
        self.folder = folder
        self.thinned = 0
        self._most_bytes, self._steady = most_bytes, steady
        self._sizes = dict(_found(folder))
        self._open: Segment | None = None
        self._tail: list[bytes] = []
        self._since = 0.0
        self._refused = False

    def __bool__(self) -> bool:
        """Return whether anything waits."""
        return bool(self._tail or self._sizes)

    def add(self, sample: Telemetry) -> None:
        """Keep `sample`, in memory until a minute of them has come together."""
        line = encode(replace(sample, spooled=True)) + b"\n"
        if _size(self._tail) + len(line) > SEGMENT_BYTES and not self._refused:
            self.flush()
        if not self._tail:
            self._since = self._steady()
        self._tail.append(line)
        if self._steady() - self._since >= EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Put on disk what is in memory; while the disk refuses it stays there, the older ones thinned."""
        try:
            while self._tail and self._most_bytes:
                self._write()
        except StorageError as error:
            if not self._refused:
                log.warning("telemetry waits in memory only: %s", error.message)
        self._refused = bool(self._tail)
        self._since = self._steady()
        if _size(self._tail) > (MEMORY_BYTES if self._most_bytes else SEGMENT_BYTES):
            self._give_up(self._tail, kept := _thinned(self._tail))
            self._tail = kept
        while self._most_bytes and sum(self._sizes.values()) > self._most_bytes:
            self._shrink()

    def secure(self) -> None:
        """Put on disk what is in memory where older samples are there: they take a while to be sent."""
        if self._sizes and self._tail:
            self.flush()

    def oldest(self) -> Batch | None:
        """Return the samples that are due next, as one payload can carry them; None when nothing waits.

        While it is on its way what comes is kept elsewhere. Call `drop` with it when it has arrived.
        """
        self._open = None
        for segment in sorted(self._sizes):
            if samples := tuple(_samples(self._lines(segment))):
                return Batch(samples, segment)
            self._forget(segment)  # nothing in it can be read
        lines = _leading(self._tail, SEGMENT_BYTES)
        return Batch(tuple(_samples(lines)), None, tuple(lines)) if lines else None

    def drop(self, sent: Batch) -> None:
        """Forget what has arrived."""
        if sent.segment is not None:
            self._forget(sent.segment)
        gone = set(map(id, sent.lines))
        self._tail = [line for line in self._tail if id(line) not in gone]

    def _write(self) -> None:
        """Put what is in memory into the open segment, or a new one; raises StorageError, and then wrote nothing."""
        lines = _leading(self._tail, SEGMENT_BYTES)
        if self._open is None or self._sizes[self._open] + _size(lines) > SEGMENT_BYTES:
            number = max((segment.last for segment in self._sizes), default=0) + 1
            segment, size = Segment(number, number), 0
        else:
            segment, size = self._open, self._sizes[self._open]
        append(self.folder / segment.name, b"".join(lines))
        self._open, self._sizes[segment] = segment, size + _size(lines)
        del self._tail[: len(lines)]

    def _shrink(self) -> None:
        """Thin the two segments that are the finest for their age; give the oldest up where that cannot be done."""
        if not self.thinned:
            log.warning("%g MB of telemetry wait: older ones are thinned now", self._most_bytes / 1e6)
        segments = sorted(self._sizes.keys() - {self._open})
        place = to_thin([segment.level for segment in segments])
        oldest = segments[0] if segments else next(iter(self._sizes))
        if place is None or not self._join(segments[place], segments[place + 1]):
            self._give_up(self._lines(oldest), ())
            self._forget(oldest)

    def _join(self, earlier: Segment, later: Segment) -> bool:
        """Make one of two segments; return whether the disk took it."""
        lines, joined = self._lines(earlier) + self._lines(later), earlier.joined(later)
        kept = lines[::2]
        try:
            write_whole(self.folder / joined.name, b"".join(kept))
        except StorageError:
            return False
        self._sizes[joined] = _size(kept)
        self._forget(earlier)
        self._forget(later)
        self._give_up(lines, kept)
        return True

    def _give_up(self, lines: Iterable[bytes], kept: Iterable[bytes]) -> None:
        self.thinned += len(list(lines)) - len(list(kept))

    def _forget(self, segment: Segment) -> None:
        (self.folder / segment.name).unlink(missing_ok=True)
        self._sizes.pop(segment, None)
        self._open = None if self._open == segment else self._open

    def _lines(self, segment: Segment) -> list[bytes]:
        try:
            return (self.folder / segment.name).read_bytes().splitlines(keepends=True)
        except OSError:
            return []


def _found(folder: Path) -> Iterator[tuple[Segment, int]]:
    """Yield the segments in `folder` with their sizes; halves, and what was thinned into another one, are removed."""
    for half in folder.glob("*.tmp"):
        half.unlink()
    reached = 0
    paths = {segment: path for path in folder.glob("*.jsonl") if (segment := Segment.of(path.name))}
    for segment in sorted(paths, key=lambda one: (one.first, -one.last)):
        if segment.last <= reached:
            paths[segment].unlink()
            continue
        reached = segment.last
        yield segment, paths[segment].stat().st_size


def _samples(lines: Iterable[bytes]) -> Iterator[Telemetry]:
    """Yield the samples in `lines`; what cannot be read is skipped."""
    for line in lines:
        try:
            yield decode(Telemetry, line)
        except WireError:
            continue


def _leading(lines: list[bytes], most_bytes: int) -> list[bytes]:
    """Return the first of `lines` that have no more than `most_bytes` together, one at least."""
    size = 0
    for count, line in enumerate(lines):
        size += len(line)
        if count and size > most_bytes:
            return lines[:count]
    return list(lines)


def _thinned(lines: list[bytes]) -> list[bytes]:
    """Return `lines` without every second one of their older half."""
    half = len(lines) // 2
    return lines[:half:2] + lines[half:]


def _size(lines: Iterable[bytes]) -> int:
    return sum(map(len, lines))
