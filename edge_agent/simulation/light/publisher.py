"""One MQTT 3.1.1 connection that only publishes, at QoS 1, many messages on their way: a few µs of processor time each.

For the load of many devices over few connections. A carrier for devices hears, keeps and retries; this one counts.
"""

import asyncio
import ssl
import struct
from collections.abc import Iterable

from broker.errors import LinkError

WINDOW = 1_000
"""Messages of one connection that the broker has not acknowledged."""

KEEPALIVE_S = 60
ANSWER_S = 10.0
_CONNACK, _PUBACK, _PINGRESP = 0x20, 0x40, 0xD0
_PINGREQ, _DISCONNECT = b"\xc0\x00", b"\xe0\x00"


def heading(topic: str, *, retain: bool = False) -> tuple[int, bytes]:
    """Return what is the same in every message to `topic`: its first byte, and the topic as it is sent."""
    name = topic.encode()
    return 0x32 | retain, struct.pack(">H", len(name)) + name


def packet(first: int, topic: bytes, mid: int, payload: bytes) -> bytes:
    """Return a PUBLISH; `first` and `topic` are of `heading`."""
    size = len(topic) + 2 + len(payload)
    if 0x7F < size < 0x4000:  # noqa: PLR2004 - what MQTT writes in two bytes
        return b"%c%c%c%b%c%c%b" % (first, size & 0x7F | 0x80, size >> 7, topic, mid >> 8, mid & 0xFF, payload)
    return b"%c%b%b%c%c%b" % (first, _length(size), topic, mid >> 8, mid & 0xFF, payload)


def _length(size: int) -> bytes:
    digits = bytearray()
    while True:
        size, digit = size >> 7, size & 0x7F
        digits.append(digit | 0x80 if size else digit)
        if not size:
            return bytes(digits)


class Publisher(asyncio.Protocol):
    """Publishes what it is given; what was on its way when the connection broke goes again over the next one."""

    def __init__(self, client_id: str, *, window: int = WINDOW) -> None:
        """Begin without a connection."""
        self.acked = 0
        self.losses = 0
        self.window = window
        self._client_id = client_id
        self._transport: asyncio.Transport | None = None
        self._on_its_way: dict[int, bytes] = {}
        self._mid = 0
        self._read = b""
        self._answer: asyncio.Future[int] | None = None

    @property
    def connected(self) -> bool:
        """Whether the broker answers."""
        return self._transport is not None and self._answer is None

    @property
    def waiting(self) -> int:
        """How many messages the broker has not acknowledged."""
        return len(self._on_its_way)

    @property
    def room(self) -> int:
        """How many messages may follow now."""
        return self.window - len(self._on_its_way) if self.connected else 0

    async def connect(self, host: str, port: int, *, tls: ssl.SSLContext | None = None) -> None:
        """Connect, and send again what was on its way. Raises LinkError."""
        loop = asyncio.get_running_loop()
        self._answer, self._read = loop.create_future(), b""
        try:
            async with asyncio.timeout(ANSWER_S):
                await loop.create_connection(lambda: self, host, port, ssl=tls)
                code = await self._answer
        except (OSError, TimeoutError) as error:
            self.close()
            raise LinkError(f"no broker at {host}:{port}: {error or 'it does not answer'}") from error
        self._answer = None
        if code:
            self.close()
            raise LinkError(f"the broker at {host}:{port} refused the connection (code {code})", code="refused")
        assert self._transport is not None
        self._transport.writelines([bytes([first[0] | 0x08]) + first[1:] for first in self._on_its_way.values()])

    def publish(self, messages: Iterable[tuple[int, bytes, bytes]]) -> None:
        """Send (first byte, topic, payload) of each message; not more than there is `room` for."""
        assert self._transport is not None
        sent, mid = [], self._mid
        for first, topic, payload in messages:
            mid = mid % 0xFFFF + 1
            while mid in self._on_its_way:
                mid = mid % 0xFFFF + 1
            self._on_its_way[mid] = message = packet(first, topic, mid, payload)
            sent.append(message)
        self._mid = mid
        self._transport.write(b"".join(sent))

    def ping(self) -> None:
        """Say that we are there."""
        if self._transport is not None:
            self._transport.write(_PINGREQ)

    def close(self) -> None:
        """Leave, if there is a connection."""
        if self._transport is not None:
            self._transport.write(_DISCONNECT)
            self._transport.close()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask to be let in."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        name = self._client_id.encode()
        body = struct.pack(">H4sBBHH", 4, b"MQTT", 4, 0x02, KEEPALIVE_S, len(name)) + name
        transport.write(b"\x10" + _length(len(body)) + body)

    def data_received(self, data: bytes) -> None:
        """Count what the broker acknowledges."""
        read, at, on_its_way = self._read + data, 0, self._on_its_way
        while at + 2 <= len(read) and at + 2 + read[at + 1] <= len(read):
            kind = read[at]
            if kind == _PUBACK:
                self.acked += on_its_way.pop(read[at + 2] << 8 | read[at + 3], None) is not None
            elif kind == _CONNACK and self._answer is not None and not self._answer.done():
                self._answer.set_result(read[at + 3])
            at += 2 + read[at + 1]
        self._read = read[at:]

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection is gone."""
        if self._transport is not None:
            self._transport = None
            self.losses += 1
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("it hung up"))
