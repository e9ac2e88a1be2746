"""A link with weather: messages late, lost, doubled or overtaken on their way, in both directions."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any

from broker.errors import LinkError
from broker.link import Event, Link, Packet
from edge_agent.simulation.network import Passage, Weather, passage


@dataclass(slots=True, kw_only=True)
class WeatherLink:
    """What passes over `inner` has the `weather` of the moment; `lost` and `doubled` count messages."""

    inner: Link
    weather: Callable[[], Weather]
    draw: Random
    lost: int = 0
    doubled: int = 0
    _inbox: asyncio.Queue[Event] = field(default_factory=asyncio.Queue)
    _late: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def connected(self) -> bool:
        """Whether the broker answers now."""
        return self.inner.connected

    async def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> None:
        """Hand `payload` to the weather; what is lost or late looks as if it had arrived. Raises LinkError."""
        fate = self._fate()
        if fate.delay_s:
            await asyncio.sleep(fate.delay_s)
        if fate.overtaken_s:
            self._later(fate.overtaken_s, self._send_late(topic, payload, qos=qos, retain=retain))
            return
        if not self.inner.connected:
            raise LinkError("not connected to the broker", hint="the simulated connection was cut")
        for _ in range(fate.copies):
            await self.inner.publish(topic, payload, qos=qos, retain=retain)

    async def subscribe(self, *filters: str) -> None:
        """Hear `filters`."""
        await self.inner.subscribe(*filters)

    async def events(self) -> AsyncIterator[Event]:
        """Yield what arrives after the weather."""
        listening = asyncio.create_task(self._listen())
        try:
            while True:
                yield await self._inbox.get()
        finally:
            for task in (listening, *self._late):
                task.cancel()

    async def unsubscribe(self, *filters: str) -> None:
        """Hear no more."""
        await self.inner.unsubscribe(*filters)

    async def settle(self, *packets: Packet) -> None:
        """Acknowledge packets."""
        await self.inner.settle(*packets)

    async def close(self) -> None:
        """Disconnect cleanly."""
        await self.inner.close()

    async def _listen(self) -> None:
        async for event in self.inner.events():
            if isinstance(event, Packet):
                await self._arrive(event)
            else:
                self._inbox.put_nowait(event)

    async def _arrive(self, packet: Packet) -> None:
        fate = self._fate()
        if fate.delay_s:
            await asyncio.sleep(fate.delay_s)
        if not fate.copies:
            await self.inner.settle(packet)
        elif fate.overtaken_s:
            self._later(fate.overtaken_s, self._inbox.put(packet))
        else:
            self._inbox.put_nowait(packet)
        if fate.copies > 1:
            self._inbox.put_nowait(packet._replace(qos=0))  # only one of the two is acknowledged

    async def _send_late(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> None:
        try:
            await self.inner.publish(topic, payload, qos=qos, retain=retain)
        except LinkError:
            self.lost += 1

    def _later(self, seconds: float, what: Coroutine[Any, Any, None]) -> None:
        async def late() -> None:
            await asyncio.sleep(seconds)
            await what

        task = asyncio.create_task(late())
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        task.add_done_callback(lambda _: what.close())

    def _fate(self) -> Passage:
        fate = passage(self.weather(), self.draw)
        self.lost += fate.copies == 0
        self.doubled += fate.copies > 1
        return fate
