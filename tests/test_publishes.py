"""Messages read straight from the bytes are those that mqttium reads, in whatever pieces the bytes come."""

from hypothesis import given
from hypothesis import strategies as st
from mqttium.codec.buffer import IncrementalDecoder
from mqttium.codec.primitives import unpack_u16, unpack_utf8
from mqttium.enums import PacketType
from mqttium.errors import MalformedPacketError

from broker.publishes import Decoder

CEILING = 100_000


def framed(first, body):
    size, length = len(body), b""
    while not length or size:
        length += bytes([size & 0x7F | (0x80 if size > 0x7F else 0)])
        size >>= 7
    return bytes([first]) + length + body


def published(topic, payload, mid, first=0x32):
    name = topic.encode()
    return framed(first, len(name).to_bytes(2, "big") + name + mid.to_bytes(2, "big") + payload)


MESSAGES = st.builds(
    published,
    st.text(max_size=20),
    st.sampled_from((0, 1, 120, 128, 300, 16_383, 16_500)).map(lambda size: b"p" * size),
    st.integers(1, 65_535),
    st.sampled_from((0x32, 0x33, 0x3A, 0x3B)),
)
OTHERS = st.sampled_from(
    (b"\xd0\x00", framed(0x40, b"\x00\x07"), published("t", b"", 3, first=0x30), b"\x32\x03\x00\x40a")
)
ODD = st.sampled_from((framed(0x32, b"\x00\x02\xff\xfe\x00\x01no text"), published("a\0b", b"{}", 9)))


def heard(decoder, pieces):
    """Return the messages of QoS 1, as (topic, payload, identifier, retained), and the other packets, in order."""
    found = []
    if isinstance(decoder, Decoder):
        decoder.take = lambda *message: found.append(message)
    for piece in pieces:
        decoder.feed(piece)
        while (packet := decoder.next_packet()) is not None:
            found.append(_message(packet) or (packet.packet_type, packet.flags, packet.remaining))
    return found


def _message(packet):
    if packet.packet_type is not PacketType.PUBLISH or packet.flags >> 1 & 3 != 1:
        return None
    try:
        topic, begin = unpack_utf8(packet.remaining)
        mid, begin = unpack_u16(packet.remaining, begin)
    except MalformedPacketError:
        return None
    return topic, packet.remaining[begin:], mid, bool(packet.flags & 1)


@given(st.lists(MESSAGES | OTHERS | ODD, max_size=8), st.lists(st.integers(0, 400), max_size=12))
def test_what_is_heard_is_what_mqttium_hears_in_its_order(packets, cuts):
    sent, pieces = b"".join(packets), []
    for cut in cuts:
        pieces.append(sent[:cut])
        sent = sent[cut:]
    pieces = [each for each in (*pieces, sent) if each]

    assert heard(Decoder(CEILING), pieces) == heard(IncrementalDecoder(CEILING), pieces)


def test_messages_that_are_there_whole_are_taken_and_the_last_comes_as_a_packet():
    decoder, taken = Decoder(CEILING), []
    decoder.take = lambda *message: taken.append(message)
    decoder.feed(published("device/a/telemetry", b"{}", 7, first=0x33) + published("b", b"last", 8))

    last = decoder.next_packet()

    assert taken == [("device/a/telemetry", b"{}", 7, True)]
    assert last is not None
    assert last.remaining == b"\x00\x01b\x00\x08last"
    assert decoder.buffered == 0
