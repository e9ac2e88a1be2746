"""Gathers what arrives into batches: large when much comes, soon when little does."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from itertools import islice

from broker.link import Event

MAX_BATCH = 2_000
GATHER_S = 0.05
LOOK_S = 0.002
FEW = 20
"""A broker as it is installed has so many messages on their way to us: when they are here, it waits for us."""


class Arrivals:
    """Takes events off a carrier as long as there is room; what is not taken waits in the broker."""

    def __init__(self, events: AsyncIterator[Event]) -> None:
        """Begin to gather `events`; use it in a running loop."""
        self._waiting: deque[Event] = deque()
        self._some, self._room = asyncio.Event(), asyncio.Event()
        self._gathering = asyncio.create_task(self._gather(events))

    def close(self) -> None:
        """Gather no more."""
        self._gathering.cancel()

    async def batch(self) -> list[Event]:
        """Wait for an event, and return it with what comes within 50 ms, or until nothing more comes."""
        await self._some.wait()
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + GATHER_S
        while (before := len(self._waiting)) < MAX_BATCH and loop.time() < ends_at:
            await asyncio.sleep(LOOK_S)
            if len(self._waiting) == before >= FEW:
                break
        taken = list(islice(self._waiting, MAX_BATCH))
        for _ in taken:
            self._waiting.popleft()
        if not self._waiting:
            self._some.clear()
        self._room.set()
        return taken

    async def _gather(self, events: AsyncIterator[Event]) -> None:
        waiting = self._waiting
        async for event in events:
            waiting.append(event)
            self._some.set()
            if len(waiting) >= 2 * MAX_BATCH:
                self._room.clear()
                await self._room.wait()
