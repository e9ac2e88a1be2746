"""A broker and its links in memory, for tests: retained messages, Wills, wildcards and persistent sessions."""

import asyncio
from collections.abc import AsyncIterator
from typing import Self

from broker.errors import LinkError
from broker.link import Connected, Disconnected, Event, Packet, Will


def matches(pattern: str, topic: str) -> bool:
    """Return whether the MQTT filter `pattern` hears `topic`."""
    wanted, given = pattern.split("/"), topic.split("/")
    for i, level in enumerate(wanted):
        if level == "#":
            return True
        if i >= len(given) or level not in ("+", given[i]):
            return False
    return len(wanted) == len(given)


class MemoryHub:
    """What a broker keeps: retained messages and the sessions of its clients."""

    def __init__(self) -> None:
        """Begin empty and reachable."""
        self.retained: dict[str, Packet] = {}
        self.published: list[Packet] = []
        self._links: dict[str, MemoryLink] = {}
        self._mid = 0

    def link(self, client_id: str, *, will: Will | None = None) -> "MemoryLink":
        """Return a link of `client_id`; a later one of the same id takes its session over."""
        before = self._links.get(client_id)
        link = MemoryLink(self, will)
        if before is not None:
            link.inherit(before)
        self._links[client_id] = link
        return link

    def deliver(self, topic: str, payload: bytes, qos: int, *, retain: bool) -> None:
        """Keep what is retained, and hand the message to everyone who listens."""
        self._mid += 1
        packet = Packet(topic, payload, qos, retain=False, mid=self._mid)
        self.published.append(Packet(topic, payload, qos, retain, self._mid))
        if retain and payload:
            self.retained[topic] = Packet(topic, payload, qos, retain=True, mid=self._mid)
        elif retain:
            self.retained.pop(topic, None)
        for link in self._links.values():
            link.hear(packet)

    def drop(self, client_id: str) -> None:
        """Break the connection of `client_id`, as a lost network does: its Will is published."""
        self._links[client_id].lose()


class MemoryLink:
    """A link to a `MemoryHub`; the same behaviour as the real one, without a socket."""

    def __init__(self, hub: MemoryHub, will: Will | None) -> None:
        """Belong to `hub`; nothing is connected before the context is entered."""
        self._hub = hub
        self._will = will
        self.filters: set[str] = set()
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self.waiting: list[Packet] = []
        self._connected = False
        self.settled: list[Packet] = []

    async def __aenter__(self) -> Self:
        """Connect."""
        self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect cleanly."""
        await self.close()

    @property
    def connected(self) -> bool:
        """Whether the hub answers now."""
        return self._connected

    def connect(self) -> None:
        """Connect, or connect again after a loss; what waited in the session arrives."""
        self._connected = True
        self._events.put_nowait(Connected(session_present=bool(self.filters)))
        for packet in self.waiting:
            self._events.put_nowait(packet)
        self.waiting.clear()
        for pattern in self.filters:
            self._replay(pattern)

    def lose(self) -> None:
        """Lose the connection without a goodbye."""
        self._connected = False
        self._events.put_nowait(Disconnected("lost"))
        if self._will is not None:
            self._hub.deliver(self._will.topic, self._will.payload, self._will.qos, retain=self._will.retain)

    def inherit(self, before: "MemoryLink") -> None:
        """Take over the subscriptions and the waiting packets of an earlier link of the same client."""
        self.filters = set(before.filters)
        self.waiting = list(before.waiting)

    def hear(self, packet: Packet) -> None:
        """Queue `packet` if it was asked for; QoS 1 waits while the link is away."""
        if not any(matches(pattern, packet.topic) for pattern in self.filters):
            return
        if self._connected:
            self._events.put_nowait(packet)
        elif packet.qos:
            self.waiting.append(packet)

    async def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> None:
        """Hand `payload` to the hub; raises LinkError while the connection is lost."""
        if not self._connected:
            raise LinkError("not connected to the hub", hint="connect first")
        self._hub.deliver(topic, payload, qos, retain=retain)
        await asyncio.sleep(0)

    async def subscribe(self, *filters: str) -> None:
        """Hear `filters`; what is retained arrives at once."""
        self.filters |= set(filters)
        if self._connected:
            for pattern in filters:
                self._replay(pattern)

    async def unsubscribe(self, *filters: str) -> None:
        """Hear `filters` no more."""
        self.filters -= set(filters)

    async def events(self) -> AsyncIterator[Event]:
        """Yield what arrives, in order."""
        while True:
            yield await self._events.get()

    async def settle(self, *packets: Packet) -> None:
        """Remember that `packets` were acknowledged."""
        self.settled.extend(packets)

    async def close(self) -> None:
        """Disconnect cleanly, so that no Will is sent."""
        self._connected = False

    def _replay(self, pattern: str) -> None:
        for packet in [p for p in self._hub.retained.values() if matches(pattern, p.topic)]:
            self._events.put_nowait(packet)
