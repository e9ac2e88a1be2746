"""Reads messages of QoS 1 straight from the bytes that a broker sent: mqttium takes twice as long for each."""

from collections.abc import Callable

from mqttium.codec.buffer import IncrementalDecoder, RawPacket

RETAIN = 0x01
_KIND, _PUBLISH = 0xF6, 0x32
"""Bits of a packet's first byte: all but `dup` and `retain`, and what they are for PUBLISH of QoS 1."""

_SHORTEST = 8
"""Bytes that are looked at without asking whether they are there."""

_TOO_LONG = 0x80 << 7
"""What is left of a length that goes on after its second byte: 16 kB and more."""

Take = Callable[[str, bytes, int, bool], None]
"""Takes the topic of a message, its payload, its identifier, and whether it was retained."""


class Decoder(IncrementalDecoder):
    """Gives messages of QoS 1 to `take`; everything else is a packet as ever.

    So is the last message that is there whole, one of 16 kB and more, and one that is not as it should be.
    """

    __slots__ = ("take",)

    def __init__(self, max_packet_size: int) -> None:
        """Take nothing yet: before the broker's answer to CONNECT a message is an error."""
        super().__init__(max_packet_size)
        self.take: Take | None = None

    def next_packet(self) -> RawPacket | None:
        """Return the next packet that is not taken."""
        if self.take is not None:
            self._take_messages(self.take)
        return super().next_packet()

    def _take_messages(self, take: Take) -> None:
        buf, at, end = self._buf, self._start, self._end
        while end - at > _SHORTEST and buf[at] & _KIND == _PUBLISH:
            size, body = buf[at + 1], at + 2
            if size & 0x80:
                size, body = size & 0x7F | buf[body] << 7, at + 3
            stop, name = body + size, body + 2
            mid = name + (buf[body] << 8 | buf[body + 1])
            if stop >= end or size & _TOO_LONG or mid + 2 > stop:
                break
            try:
                topic = buf[name:mid].decode()
            except UnicodeDecodeError:
                break
            if "\0" in topic:
                break
            take(topic, bytes(buf[mid + 2 : stop]), buf[mid] << 8 | buf[mid + 1], bool(buf[at] & RETAIN))
            at = stop
        self._start = at
