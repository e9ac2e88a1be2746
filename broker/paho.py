"""A link over paho-mqtt: its thread owns the socket, our loop owns everything else."""

import asyncio
import contextlib
import random
import socket
from collections import deque
from collections.abc import AsyncIterator
from itertools import cycle
from typing import Any, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from broker import losses
from broker.credentials import NOBODY, Credentials, warn_in_the_clear
from broker.errors import LinkError
from broker.hosts import hosts
from broker.link import Connected, Disconnected, Event, Packet, Will
from broker.paho_client import Client

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 15.0
ANSWER_S = 10.0
"""How long a broker may take to acknowledge a connection: a node without its cluster takes one and says nothing."""

BACKLOG = 50_000
"""Arrived packets that may wait; beyond it QoS 0 is dropped and counted, QoS 1 waits in the broker."""


class PahoLink:
    """An MQTT 3.1.1 session that reconnects by itself; use it as an async context manager.

    Where the URL names several hosts it stays with the first that answers, and moves on when that one is gone.
    QoS 1 packets are acknowledged by `settle`, not on arrival, so what was not made safe is delivered again.
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

        One that is not `lasting` ends with its connection, and leaves nothing on the broker. Raises LinkError for a bad
        address, InvalidError for credentials that cannot be used.
        """
        where = hosts(url)
        self._tls, self._credentials = where.tls, credentials
        self._client = client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=not lasting,
            protocol=mqtt.MQTTv311,
            manual_ack=True,
        )
        warn_in_the_clear(where, credentials)
        if credentials.username is not None:
            client.username_pw_set(credentials.username, credentials.password)
        if will is not None:
            client.will_set(will.topic, will.payload, will.qos, will.retain)
        if self._tls:
            client.tls_set_context(credentials.context())
        first_s = FIRST_WAIT_S * random.uniform(0.5, 1.5)  # noqa: S311 - spreads a fleet's attempts
        client.reconnect_delay_set(min_delay=first_s, max_delay=LONGEST_WAIT_S)  # type: ignore[arg-type]  # it only waits
        client.max_inflight_messages_set(200)
        client.on_pre_connect = self._on_pre_connect
        client.on_socket_open = self._on_open
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_answer
        client.on_subscribe = self._on_subscribe
        client.on_unsubscribe = self._on_answer
        nodes = where.in_order_for(client_id)
        client.nodes = cycle(nodes)
        client.told = self._tell
        client.connect_async(*nodes[0], keepalive_s)
        self._filters: dict[str, int] = {}
        self._answers: dict[int, asyncio.Future[None]] = {}
        self._inbox: deque[Event] = deque()
        self._arrived = asyncio.Event()
        self._waking = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connected = False
        self._answer_came: bool | None = None
        self.dropped = 0

    async def __aenter__(self) -> Self:
        """Start connecting; `events` says when it is done."""
        self._loop = asyncio.get_running_loop()
        self._client.loop_start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect cleanly."""
        await self.close()

    @property
    def connected(self) -> bool:
        """Whether the broker answers now."""
        return self._connected

    @property
    def node(self) -> str | None:
        """The host and port that we are connected to, None while we are not."""
        return self._node if self._connected else None

    @property
    def _node(self) -> str:
        return f"{self._client.host}:{self._client.port}"

    async def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> None:
        """Hand `payload` to the broker; with QoS 1 return when it has acknowledged. Raises LinkError."""
        if not self._connected:
            raise LinkError(f"not connected to {self._node}", hint="is the broker running?")
        info = self._client.publish(topic, payload, qos, retain)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise LinkError(f"could not publish: {mqtt.error_string(info.rc)}")
        if qos:
            await self._answered(info.mid)

    async def subscribe(self, *filters: str) -> None:
        """Hear `filters` now and after each reconnect. Raises LinkError when the broker refuses them."""
        self._filters |= dict.fromkeys(filters, 1)
        if self._connected:
            rc, mid = self._client.subscribe(list(dict.fromkeys(filters, 1).items()))
            if rc == MQTTErrorCode.MQTT_ERR_SUCCESS and mid is not None:
                await self._answered(mid)

    async def unsubscribe(self, *filters: str) -> None:
        """Hear `filters` no more. Raises LinkError."""
        for each in filters:
            self._filters.pop(each, None)
        rc, mid = self._client.unsubscribe(list(filters))
        if rc != MQTTErrorCode.MQTT_ERR_SUCCESS or mid is None:
            raise LinkError(f"not connected to {self._node}", hint="is the broker running?")
        await self._answered(mid)

    async def events(self) -> AsyncIterator[Event]:
        """Yield what arrives, and the comings and goings of the connection, in order."""
        while True:
            while self._inbox:
                yield self._inbox.popleft()
            self._arrived.clear()
            await self._arrived.wait()

    async def settle(self, *packets: Packet) -> None:
        """Acknowledge those of `packets` that have QoS 1."""
        self._client.ack_all([packet.mid for packet in packets if packet.qos])

    async def drop(self) -> None:
        """Cut the connection, so that the broker tells our Will; it is not made again."""
        await asyncio.to_thread(self._client.loop_stop)
        if (cut := self._client.socket()) is not None:
            cut.close()
        self._connected = False
        self._fail_answers("dropped")

    async def close(self) -> None:
        """Disconnect cleanly, so that no Will is sent."""
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)
        self._fail_answers("closed")

    async def _answered(self, mid: int) -> None:
        self._answers[mid] = future = asyncio.get_running_loop().create_future()
        try:
            await future
        finally:
            self._answers.pop(mid, None)

    def _fail_answers(self, why: str) -> None:
        for future in self._answers.values():
            if not future.done():
                future.set_exception(LinkError(f"connection to {self._node} broke: {why}"))

    def _hop(self, call: Any, *args: Any) -> None:
        """Run `call` on our loop, from paho's thread; after the loop's end nobody listens any more."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *args)

    def _put(self, event: Event) -> None:
        """Hand over an event from either thread."""
        self._inbox.append(event)
        self._tell()

    def _tell(self) -> None:
        """Let our loop look at what came; one hop wakes it for all that comes until it runs."""
        if self._inbox and not self._waking:
            self._waking = True
            self._hop(self._wake)

    def _wake(self) -> None:
        self._waking = False
        self._arrived.set()

    def _on_pre_connect(self, _client: mqtt.Client, _data: Any) -> None:
        self._answer_came = None

    def _on_open(self, _client: mqtt.Client, _data: Any, opened: Any) -> None:
        self._hop(self._expect_answer, opened)

    def _expect_answer(self, opened: socket.socket) -> None:
        asyncio.get_running_loop().call_later(ANSWER_S, self._give_up, opened)

    def _give_up(self, opened: socket.socket) -> None:
        """Let go of a connection that was never acknowledged."""
        if not self._connected and self._client.socket() is opened:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    def _on_connect(self, _client: mqtt.Client, _data: Any, flags: Any, code: Any, _properties: Any) -> None:
        self._answer_came = not code.is_failure
        if code.is_failure:
            self._put(losses.refused(code.value, self._credentials.username))
            return
        self._hop(self._came, Connected(session_present=flags.session_present))

    def _on_connect_fail(self, _client: mqtt.Client, _data: Any) -> None:
        self._put(self._client.failure)

    def _on_disconnect(self, _client: mqtt.Client, _data: Any, _flags: Any, code: Any, _properties: Any) -> None:
        if self._answer_came is None:
            early = losses.closed_early(self._node, tls=self._tls, with_certificate=bool(self._credentials.cert_file))
            self._hop(self._went, early)
        else:  # a refusal has said why, and the hang-up after it says nothing more
            self._hop(self._went, losses.broken(code.value, str(code)) if self._answer_came else None)

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        if message.qos == 0 and len(self._inbox) > BACKLOG:
            self.dropped += 1
            return
        packet = Packet(message.topic, bytes(message.payload), message.qos, message.retain, message.mid)
        self._inbox.append(packet)
        if not self._client.has_more:
            self._tell()

    def _on_answer(self, _client: mqtt.Client, _data: Any, mid: int, _codes: Any, _properties: Any) -> None:
        self._hop(self._answer, mid, "")

    def _on_subscribe(self, _client: mqtt.Client, _data: Any, mid: int, codes: Any, _properties: Any) -> None:
        refused = any(code.is_failure for code in codes)
        self._hop(self._answer, mid, "the broker refused a subscription" if refused else "")

    def _came(self, event: Connected) -> None:
        # On our loop, as `subscribe` is: a filter is either known here, or `subscribe` sees the connection.
        self._connected = True
        if self._filters:
            self._client.subscribe(list(self._filters.items()))
        self._put(event)

    def _went(self, loss: Disconnected | None) -> None:
        self._connected = False
        self._fail_answers(loss.reason if loss else "refused")
        if loss:
            self._put(loss)

    def _answer(self, mid: int, failure: str) -> None:
        future = self._answers.get(mid)
        if future is None or future.done():
            return
        if failure:
            future.set_exception(LinkError(failure, code="not_allowed", hint="check the broker's access rules"))
        else:
            future.set_result(None)
