"""A link over mqttium: our loop owns the socket, and a message costs half of what it costs with paho.

For the side that takes in a fleet; devices keep to paho. Each connection has a client of its own: what was on its way
to the broker when one breaks is the caller's to send again, as LinkError says, and what was not settled comes again.
What the broker publishes is read here, not by mqttium, whose books of what waits for an acknowledgement cost as much as
all the rest: see docs/decisions/0036.
"""

import asyncio
import contextlib
import random
import struct
from collections import deque
from collections.abc import AsyncIterator
from itertools import cycle
from typing import Self

from mqttium import errors
from mqttium.api import AsyncClient, PublishMessage
from mqttium.codec.buffer import RawPacket
from mqttium.codec.primitives import unpack_u16, unpack_utf8
from mqttium.enums import ConnectionState, PacketType

from broker import losses
from broker.credentials import NOBODY, Credentials, warn_in_the_clear
from broker.errors import LinkError
from broker.hosts import hosts
from broker.link import Connected, Disconnected, Event, Packet, Will
from broker.paho import ANSWER_S, BACKLOG, FIRST_WAIT_S, LONGEST_WAIT_S
from broker.publishes import RETAIN, Decoder

ON_THEIR_WAY = 200
"""Messages of ours that the broker has not acknowledged."""

AS_MQTT_5 = {1: 132, 2: 133, 3: 136, 4: 134, 5: 135}
"""What a broker of MQTT 3.1.1 answers to CONNECT, in the numbers of MQTT 5."""

_PUBACK = struct.Struct(">BBH")
_MID = 0xFFFF


class MqttiumLink:
    """An MQTT 3.1.1 session that reconnects by itself; use it as an async context manager.

    The same promises as a `PahoLink`: QoS 1 is acknowledged by `settle`, and of several hosts one that answers is kept.
    """

    def __init__(
        self,
        url: str,
        client_id: str,
        *,
        will: Will | None = None,
        credentials: Credentials = NOBODY,
        keepalive_s: int = 30,
        lasting: bool = True,
    ) -> None:
        """Prepare a session of `client_id` at `url`; nothing is sent before the context is entered.

        Raises LinkError for a bad address, InvalidError for credentials that cannot be used.
        """
        where = hosts(url)
        warn_in_the_clear(where, credentials)
        self._nodes = cycle(where.in_order_for(client_id))
        self._tls = credentials.context() if where.tls else None
        self._client_id, self._credentials = client_id, credentials
        self._will, self._keepalive_s, self._lasting = will, keepalive_s, lasting
        self._client: AsyncClient | None = None
        self._host, self._port = where.nodes[0]
        self._filters: dict[str, int] = {}
        self._inbox: deque[Event] = deque()
        self._arrived = asyncio.Event()
        self._connections = 0
        self._unsettled: set[int] = set()
        self._keeping: asyncio.Task[None] | None = None
        self.dropped = 0

    async def __aenter__(self) -> Self:
        """Start connecting; `events` says when it is done."""
        self._keeping = asyncio.create_task(self._keep())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect cleanly."""
        await self.close()

    @property
    def connected(self) -> bool:
        """Whether the broker answers now."""
        return self._client is not None and self._client.is_connected

    @property
    def node(self) -> str | None:
        """The host and port that we are connected to, None while we are not."""
        return self._node if self.connected else None

    @property
    def _node(self) -> str:
        return f"{self._host}:{self._port}"

    async def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> None:
        """Hand `payload` to the broker; with QoS 1 return when it has acknowledged. Raises LinkError."""
        try:
            receipt = await self._connection().publish(topic, payload, qos=qos, retain=retain)
            if qos:
                await receipt.wait()
        except errors.MQTTError as error:
            raise LinkError(f"connection to {self._node} broke: {error}") from error

    async def subscribe(self, *filters: str) -> None:
        """Hear `filters` now and after each reconnect. Raises LinkError when the broker refuses them."""
        self._filters |= dict.fromkeys(filters, 1)
        if self._client is not None:
            await self._subscribe(self._client, filters)

    async def unsubscribe(self, *filters: str) -> None:
        """Hear `filters` no more. Raises LinkError."""
        for each in filters:
            self._filters.pop(each, None)
        try:
            await self._connection().unsubscribe(filters)
        except errors.MQTTError as error:
            raise LinkError(f"connection to {self._node} broke: {error}") from error

    async def events(self) -> AsyncIterator[Event]:
        """Yield what arrives, and the comings and goings of the connection, in order."""
        while True:
            while self._inbox:
                yield self._inbox.popleft()
            self._arrived.clear()
            await self._arrived.wait()

    async def settle(self, *packets: Packet) -> None:
        """Acknowledge those of `packets` that have QoS 1 and came over the connection that is there now."""
        unsettled = self._unsettled
        handles = [packet.mid for packet in packets if packet.mid in unsettled]
        unsettled.difference_update(handles)
        if not handles or not self.connected:
            return
        acknowledgements = b"".join([_PUBACK.pack(0x40, 2, handle & _MID) for handle in handles])
        with contextlib.suppress(errors.MQTTError):  # a connection that broke meanwhile: they come again
            await _send(self._connection(), acknowledgements)

    async def drop(self) -> None:
        """Cut the connection, so that the broker tells our Will; it is not made again."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        client, self._client = self._client, None
        if client is not None and client._transport is not None:  # noqa: SLF001 - there is no public way to be rude
            await client._transport.close()  # noqa: SLF001
            await client.disconnect()

    async def close(self) -> None:
        """Disconnect cleanly, so that no Will is sent."""
        if self._client is not None:
            await self._client.disconnect()
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])

    def _connection(self) -> AsyncClient:
        if self._client is None or not self._client.is_connected:
            raise LinkError(f"not connected to {self._node}", hint="is the broker running?")
        return self._client

    async def _keep(self) -> None:
        """Connect, and connect again whenever the connection is lost."""
        wait_s = FIRST_WAIT_S
        while True:
            self._host, self._port = next(self._nodes)
            loss = await self._live()
            wait_s = FIRST_WAIT_S if self._client is not None else min(wait_s * 2, LONGEST_WAIT_S)
            self._client = None
            self._put(loss)
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads attempts

    async def _live(self) -> Disconnected:
        """Live through one connection, from its attempt to its loss, and return why it ended."""
        client = self._made()
        client._decoder = decoder = Decoder(client._decoder.max_packet_size)  # noqa: SLF001
        try:
            answer = await client.connect(self._host, self._port, ssl=self._tls, timeout=ANSWER_S)
        except errors.ConnectRefusedError as error:
            return losses.refused(AS_MQTT_5.get(error.reason_code, error.reason_code), self._credentials.username)
        except (errors.MQTTError, OSError) as error:
            await client.disconnect()
            cause = next((each for each in (error.__cause__, error) if isinstance(each, OSError)), None)
            if cause is not None:
                return losses.unreachable(cause, self._host, self._port)
            certified = bool(self._credentials.cert_file)
            return losses.closed_early(self._node, tls=self._tls is not None, with_certificate=certified)
        self._client = client
        decoder.take = self._take_first
        try:
            if self._filters:
                await self._subscribe(client, self._filters)
            self._put(Connected(session_present=answer.session_present))
            async for _ in client.messages():  # ends with the connection; what is published comes by `_take`
                pass
        except (errors.MQTTError, LinkError) as error:
            await client.disconnect()
            return Disconnected(str(error))
        return Disconnected(client.stats().last_disconnect_error or "connection closed")

    def _take(self, raw: RawPacket) -> None:
        """Take in what the broker publishes; of QoS 0 not more than can wait, as of QoS 1 no broker sends."""
        qos, body = raw.flags >> 1 & 3, raw.remaining
        topic, begin = unpack_utf8(body)
        retain = bool(raw.flags & RETAIN)
        if qos == 1:
            mid, begin = unpack_u16(body, begin)
            self._take_first(topic, body[begin:], mid, retain)
        elif qos:
            raise errors.ProtocolError("a message of QoS 2, which nobody subscribed to")
        elif len(self._inbox) > BACKLOG:
            self.dropped += 1
        else:
            self._put(Packet(topic, body[begin:], qos, retain, 0))

    def _take_first(self, topic: str, payload: bytes, mid: int, retain: bool) -> None:
        """Take in a message of QoS 1."""
        handle = self._connections << 16 | mid
        self._unsettled.add(handle)
        self._inbox.append(Packet(topic, payload, 1, retain, handle))
        self._arrived.set()

    async def _subscribe(self, client: AsyncClient, filters: tuple[str, ...] | dict[str, int]) -> None:
        try:
            await client.subscribe(tuple(filters), qos=1)
        except errors.SubscribeError as error:
            text, hint = "the broker refused a subscription", "check the broker's access rules"
            raise LinkError(text, code="not_allowed", hint=hint) from error
        except errors.NotConnectedError:
            return  # it is asked for again with the next connection
        except errors.MQTTError as error:
            raise LinkError(f"connection to {self._node} broke: {error}") from error

    def _made(self) -> AsyncClient:
        will = self._will
        said = None if will is None else PublishMessage(will.topic, will.payload, will.qos, will.retain)
        client = AsyncClient(
            self._client_id,
            clean_start=not self._lasting,
            keepalive=self._keepalive_s,
            username=self._credentials.username,
            password=self._credentials.password,
            will=said,
            max_outbound_inflight=ON_THEIR_WAY,
        )
        self._connections += 1
        self._unsettled.clear()
        client._engine._handlers_by_state[ConnectionState.CONNECTED][PacketType.PUBLISH] = self._take  # noqa: SLF001
        return client

    def _put(self, event: Event) -> None:
        self._inbox.append(event)
        self._arrived.set()


async def _send(client: AsyncClient, packets: bytes) -> None:
    """Write packets of our own between those of mqttium."""
    async with client._engine_lock:  # noqa: SLF001
        client._engine._send_ack(packets)  # noqa: SLF001
        client._effect_pump.collect_from_engine()  # noqa: SLF001
    await client._effect_pump.drain()  # noqa: SLF001
