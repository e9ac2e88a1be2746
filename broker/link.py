"""The seam to a broker: what agents and the controller need from one, and nothing more."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Packet(NamedTuple):
    """A message that arrived; `mid` is the carrier's handle for `Link.settle`."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    mid: int = 0


@dataclass(frozen=True, slots=True)
class Connected:
    """A CONNACK came: everything retained has to be said again."""

    session_present: bool = False


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is gone or did not come about, in a sentence and a code; the carrier tries again by itself."""

    reason: str = ""
    code: str = "lost"


Event = Packet | Connected | Disconnected


@dataclass(frozen=True, slots=True, kw_only=True)
class Will:
    """What the broker says for us when we vanish."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = True


class Link(Protocol):
    """A connection that keeps itself up, with its subscriptions."""

    @property
    def connected(self) -> bool:
        """Whether the broker answers now."""
        ...

    async def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> None:
        """Hand `payload` to the broker; with QoS 1 return when it has acknowledged.

        Raises LinkError when it is not connected or the connection breaks before the acknowledgement.
        """

    async def subscribe(self, *filters: str) -> None:
        """Hear `filters` now and after each reconnect."""

    async def unsubscribe(self, *filters: str) -> None:
        """Hear `filters` no more, also where an earlier life of the session asked for them. Raises LinkError."""

    def events(self) -> AsyncIterator[Event]:
        """Yield what arrives, and the comings and goings of the connection, in order."""
        ...

    async def settle(self, *packets: Packet) -> None:
        """Acknowledge those of `packets` that have QoS 1: call it after what they say is safe on disk."""

    async def close(self) -> None:
        """Disconnect cleanly, so that no Will is sent."""
