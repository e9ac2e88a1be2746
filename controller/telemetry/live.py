"""Live telemetry for whoever listens: a bounded queue for each reader, so that none can hold up the fleet."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from broker.errors import ConflictError
from broker.messages import Telemetry
from broker.wire import document

MOST_READERS = 100
MOST_WAITING = 8_000
"""Messages that may wait for one reader: four times what one batch from the broker brings at most."""


@dataclass(slots=True, eq=False)
class Reader:
    """Somebody who listens: to the devices named, to all when none is."""

    devices: frozenset[str]
    most_waiting: int
    too_slow: asyncio.Event = field(default_factory=asyncio.Event)
    _waiting: deque[str] = field(default_factory=deque)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def wants(self, device_id: str) -> bool:
        """Return whether a device's telemetry is for this reader."""
        return not self.too_slow.is_set() and (not self.devices or device_id in self.devices)

    def offer(self, message: str) -> bool:
        """Let `message` wait; return False when too many do already, which ends this reader."""
        if len(self._waiting) >= self.most_waiting:
            self.too_slow.set()
            self._waiting.clear()
            return False
        self._waiting.append(message)
        self._news.set()
        return True

    async def messages(self) -> AsyncIterator[str]:
        """Yield what waits, in its order, for ever; the loop gets a turn after each."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                yield self._waiting.popleft()
                await asyncio.sleep(0)


@dataclass(slots=True, kw_only=True)
class Live:
    """Holds samples until they are stored, then gives each to the readers that want it."""

    most_readers: int = MOST_READERS
    most_waiting: int = MOST_WAITING
    dropped: int = 0
    _readers: set[Reader] = field(default_factory=set)
    _held: list[tuple[str, Telemetry, float]] = field(default_factory=list)

    @property
    def readers(self) -> int:
        """How many listen now."""
        return len(self._readers)

    @contextmanager
    def reading(self, devices: frozenset[str]) -> Iterator[Reader]:
        """Give a reader of `devices`, all when empty, until the context ends. Raises ConflictError for too many."""
        if len(self._readers) >= self.most_readers:
            raise ConflictError(
                f"{len(self._readers)} readers listen already", code="too_many_readers", hint="close one of them"
            )
        reader = Reader(devices, self.most_waiting)
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)

    def hold(self, device_id: str, sample: Telemetry, at: float) -> None:
        """Keep a sample that came at `at` until `release` or `discard`."""
        if self._readers:
            self._held.append((device_id, sample, at))

    def discard(self) -> None:
        """Drop what is held: it was not stored, and comes again."""
        self._held.clear()

    def release(self) -> None:
        """Give what is held to the readers; one for whom too much waits is no reader any more."""
        for device_id, sample, at in self._held:
            readers = [reader for reader in self._readers if reader.wants(device_id)]
            if readers:
                message = _message(device_id, sample, at)
                self.dropped += sum(not reader.offer(message) for reader in readers)
        self._held.clear()


def _message(device_id: str, sample: Telemetry, at: float) -> str:
    told = {"device_id": device_id, "received_at": at, "telemetry": document(sample)}
    return json.dumps(told, separators=(",", ":"))
