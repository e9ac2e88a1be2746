"""paho's client with what our link asks of it: its next node, many packets at a time, and why it could not connect."""

from collections.abc import Callable, Iterator, Sequence
from struct import pack

import paho.mqtt.client as mqtt
from paho.mqtt.client import PUBACK
from paho.mqtt.enums import MQTTErrorCode

from broker import losses
from broker.link import Disconnected

READ_AHEAD = 65_536
"""Bytes that are asked of the socket at once."""


class Client(mqtt.Client):
    """A client that turns to its next node each time it connects.

    It acknowledges many packets in one piece, and reads many from the socket at once: paho by itself asks the socket
    four times for each, and each time another thread may take the interpreter from it. `told` hears when they are read.
    """

    nodes: Iterator[tuple[str, int]]
    told: Callable[[], None]
    failure = Disconnected("no answer", code="unreachable")
    _ahead = memoryview(b"")

    @property
    def has_more(self) -> bool:
        """Whether more was read from the socket than has been looked at."""
        return bool(self._ahead)

    def reconnect(self) -> MQTTErrorCode:
        """Connect as paho does. Raises OSError."""
        self.connect_async(*next(self.nodes), self.keepalive)
        self._ahead = memoryview(b"")
        try:
            return super().reconnect()
        except OSError as error:
            self.failure = losses.unreachable(error, self.host, self.port)
            raise

    def ack_all(self, mids: Sequence[int]) -> None:
        """Acknowledge QoS 1 packets."""
        if mids:
            pieces = [pack("!BBH", PUBACK, 2, mid) for mid in mids]
            self._packet_queue(PUBACK, b"".join(pieces), mids[-1], 1)

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        """Handle what is on the socket, and all that was read ahead."""
        code = super().loop_read(max_packets)
        while self._ahead and code == MQTTErrorCode.MQTT_ERR_SUCCESS:
            code = super().loop_read(max_packets)
        self.told()
        return code

    def _sock_recv(self, bufsize: int) -> bytes:
        """Return what was read ahead; b"" when the other side has hung up. Raises what a socket raises."""
        self._ahead = self._ahead or memoryview(super()._sock_recv(READ_AHEAD))
        part, self._ahead = self._ahead[:bufsize], self._ahead[bufsize:]
        return bytes(part)
