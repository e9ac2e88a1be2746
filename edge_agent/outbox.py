"""Keeps telemetry that could not be sent: bounded, thinned from the oldest, over restarts."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from broker.errors import WireError
from broker.messages import Telemetry
from broker.wire import MAX_PAYLOAD_BYTES, decode, encode

MOST_SAMPLES = 2_000
"""Nearly three hours at one sample in 5 s, about 1 MB; thinned after that."""

BATCH_BYTES = MAX_PAYLOAD_BYTES - 1_024


class Spool:
    """The samples that wait, oldest first, in memory and in `path` as one JSON document a line."""

    def __init__(self, path: Path, *, most: int = MOST_SAMPLES) -> None:
        """Read what an earlier life left; lines that cannot be read are skipped."""
        self._path = path
        self._most = most
        self._waiting = list(_read(path))[-most:]

    def __len__(self) -> int:
        """Return how many samples wait."""
        return len(self._waiting)

    def add(self, sample: Telemetry) -> None:
        """Keep `sample`; a disk that is full keeps it in memory only."""
        self._waiting.append(replace(sample, spooled=True))
        if len(self._waiting) > self._most:
            self._waiting = thinned(self._waiting)
            self._rewrite()
            return
        self._append(self._waiting[-1])

    def batch(self) -> Telemetry | None:
        """Return the oldest samples that fit one payload; None when nothing waits."""
        chosen: list[Telemetry] = []
        size = 0
        for sample in self._waiting:
            size += len(encode(sample)) + 1
            if size > BATCH_BYTES:
                break
            chosen.append(sample)
        return Telemetry(batch=tuple(chosen), spooled=True) if chosen else None

    def drop(self, sent: Telemetry) -> None:
        """Forget what `sent` carried."""
        gone = set(map(id, sent.batch))
        self._waiting = [sample for sample in self._waiting if id(sample) not in gone]
        self._rewrite()

    def _append(self, sample: Telemetry) -> None:
        try:
            with self._path.open("ab") as file:
                file.write(encode(sample) + b"\n")
        except OSError:
            return

    def _rewrite(self) -> None:
        temporary = self._path.with_suffix(".tmp")
        try:
            temporary.write_bytes(b"".join(encode(sample) + b"\n" for sample in self._waiting))
            temporary.replace(self._path)
        except OSError:
            temporary.unlink(missing_ok=True)


def thinned(samples: list[Telemetry]) -> list[Telemetry]:
    """Return `samples` without every second one of their older half."""
    half = len(samples) // 2
    return samples[:half:2] + samples[half:]


def _read(path: Path) -> Iterable[Telemetry]:
    if not path.exists():
        return
    for line in path.read_bytes().splitlines():
        try:
            yield decode(Telemetry, line)
        except WireError:
            continue
