"""The link: the fake and the real one agree, on every broker."""

import asyncio
import contextlib
import socket
import threading

import pytest

from broker.errors import LinkError
from broker.hosts import address, hosts
from broker.link import Connected, Disconnected, Packet, Will
from broker.looped import LoopedLink
from broker.memory import MemoryHub, matches
from broker.mqttium import MqttiumLink
from broker.paho import PahoLink
from tests.conftest import NO_MOSQUITTO, NO_NATS
from tests.fleet.brokers import RunningBroker

WITHIN_S = 20


class Listener:
    """A link with its events, and the patience to wait for one of them."""

    def __init__(self, link):
        self.link = link
        self.events = link.events()

    async def until(self, kind):
        async with asyncio.timeout(WITHIN_S):
            async for event in self.events:
                if isinstance(event, kind):
                    return event
        raise AssertionError("the events ended")

    async def quiet(self, within_s=0.3):
        """Return the packet that came although none should, or None."""
        try:
            return await asyncio.wait_for(self.until(Packet), within_s)
        except TimeoutError:
            return None


MEMORY, AMQTT = (None, "memory"), (PahoLink, "amqtt")
MOSQUITTO = [pytest.param((kind, "mosquitto"), marks=NO_MOSQUITTO) for kind in (PahoLink, LoopedLink, MqttiumLink)]
NATS = [pytest.param((kind, "nats"), marks=NO_NATS) for kind in (PahoLink, MqttiumLink)]
KINDS = [PahoLink, LoopedLink, MqttiumLink]


def kind_and_broker(given):
    return "-".join(word if isinstance(word, str) else word.__name__ for word in given if word)


@pytest.fixture(params=[MEMORY, AMQTT, (MqttiumLink, "amqtt"), *NATS, *MOSQUITTO], ids=kind_and_broker)
def make_link(request, tmp_path):
    kind, where = request.param
    if kind is None:
        yield MemoryHub().link
        return
    running = RunningBroker(where, tmp_path)

    def link(client_id, *, will=None):
        return kind(running.url, client_id, will=will, keepalive_s=2)

    yield link
    running.kill()


@contextlib.asynccontextmanager
async def listening(link):
    async with link:
        listener = Listener(link)
        await listener.until(Connected)
        yield listener


async def test_what_is_published_is_heard_and_can_be_settled(make_link):
    async with listening(make_link("a")) as a, listening(make_link("b")) as b:
        await b.link.subscribe("device/+/cmd")
        await a.link.publish("device/x/cmd", b"ping", qos=1)
        packet = await b.until(Packet)
        await b.link.settle(packet)

    assert (packet.topic, packet.payload) == ("device/x/cmd", b"ping")


async def test_a_retained_message_reaches_who_comes_later_and_an_empty_one_forgets_it(make_link):
    async with listening(make_link("a")) as a, listening(make_link("b")) as b, listening(make_link("c")) as c:
        await a.link.publish("device/x/info", b"{}", qos=1, retain=True)
        await b.link.subscribe("device/x/info")
        heard = await b.until(Packet)
        await a.link.publish("device/x/info", b"", qos=1, retain=True)
        gone = await b.until(Packet)
        async with asyncio.timeout(WITHIN_S):
            await c.link.subscribe("device/x/info")
            while await c.quiet() is not None:  # NATS tells who listens before it forgets
                await c.link.subscribe("device/x/info")

    assert (heard.payload, heard.retain) == (b"{}", True)
    assert gone.payload == b""


async def test_a_session_keeps_what_came_while_its_client_was_away(make_link):
    first = make_link("sleeper")
    async with listening(first) as sleeper:
        await sleeper.link.subscribe("device/x/cmd")
    async with listening(make_link("a")) as a:
        await a.link.publish("device/x/cmd", b"ping", qos=1)
    async with make_link("sleeper") as again:
        packet = await Listener(again).until(Packet)

    assert packet.payload == b"ping"


async def test_a_publish_without_a_connection_says_so(make_link):
    link = make_link("lonely")

    with pytest.raises(LinkError):
        await link.publish("device/x/ack", b"{}", qos=1)


async def test_a_clean_goodbye_sends_no_will(make_link):
    will = Will(topic="device/x/status", payload=b"lost")
    async with listening(make_link("watcher")) as watcher:
        await watcher.link.subscribe("device/x/status")
        async with listening(make_link("x", will=will)):
            pass
        assert await watcher.quiet() is None


@pytest.mark.parametrize("kind", [PahoLink, MqttiumLink])
async def test_a_broker_that_dies_is_noticed_and_heard_again_when_it_is_back(broker, kind):
    async with listening(kind(broker.url, "x", keepalive_s=2)) as x:
        await x.link.subscribe("device/x/cmd")
        broker.kill()
        await x.until(Disconnected)
        assert not x.link.connected
        broker.restart()
        await x.until(Connected)
        await x.link.publish("device/x/status", b"", qos=1)  # answered after the subscription before it was read
        async with listening(PahoLink(broker.url, "a")) as a:
            await a.link.publish("device/x/cmd", b"ping", qos=1)
        packet = await x.until(Packet)

    assert packet.payload == b"ping"


async def test_a_link_in_the_loop_needs_no_thread_and_comes_back_to_a_broker_that_died(mosquitto):
    async with listening(LoopedLink(mosquitto.url, "x", keepalive_s=1, seed=1)) as x:
        await x.link.subscribe("device/x/cmd")
        assert [thread for thread in threading.enumerate() if "paho" in thread.name] == []
        mosquitto.kill()
        await x.until(Disconnected)
        mosquitto.restart()
        await x.until(Connected)
        await x.link.publish("device/x/cmd", b"ping", qos=1)
        packet = await x.until(Packet)

    assert packet.payload == b"ping"


async def test_a_link_that_was_cut_sends_its_will_and_is_away_until_it_is_mended(mosquitto):
    will = Will(topic="device/x/status", payload=b"lost")
    async with (
        listening(PahoLink(mosquitto.url, "watcher")) as watcher,
        listening(LoopedLink(mosquitto.url, "x", will=will, seed=1)) as x,
    ):
        await watcher.link.subscribe("device/x/status")
        x.link.cut()
        lost = await watcher.until(Packet)
        assert not x.link.connected
        x.link.mend()
        await x.until(Connected)

    assert lost.payload == b"lost"


async def test_large_messages_pass_a_socket_that_takes_them_in_parts(mosquitto):
    payloads = [bytes([n]) * 60_000 for n in range(40)]
    async with listening(LoopedLink(mosquitto.url, "a")) as a, listening(LoopedLink(mosquitto.url, "b")) as b:
        await b.link.subscribe("device/x/cmd")
        async with asyncio.TaskGroup() as group:
            for payload in payloads:
                group.create_task(a.link.publish("device/x/cmd", payload, qos=1))
            heard = []
            while len(heard) < len(payloads):
                packet = await b.until(Packet)
                await b.link.settle(packet)
                heard.append(packet.payload)

    assert heard == payloads


@pytest.mark.parametrize("carrier", [PahoLink, MqttiumLink])
@pytest.mark.parametrize("kind", ["mosquitto", "nats"])
async def test_what_was_not_settled_comes_again(kind, carrier, request):
    broker = request.getfixturevalue(kind)  # the embedded one forgets what was on its way: nothing of ours relies on it
    async with listening(carrier(broker.url, "x")) as x:
        await x.link.subscribe("device/x/cmd")
        async with listening(PahoLink(broker.url, "a")) as a:
            await a.link.publish("device/x/cmd", b"ping", qos=1)
        first = await x.until(Packet)
    async with carrier(broker.url, "x") as back:
        again = await Listener(back).until(Packet)

    assert first.payload == again.payload == b"ping"


@pytest.mark.parametrize("carrier", [PahoLink, LoopedLink])
async def test_many_that_come_at_once_are_whole_and_in_order_and_settled_at_once_they_do_not_come_again(
    carrier, mosquitto
):
    payloads = [bytes([n]) * (n**2 * 2) for n in range(100)]
    async with listening(carrier(mosquitto.url, "x")) as x:
        await x.link.subscribe("device/x/cmd")
    async with listening(PahoLink(mosquitto.url, "a")) as a:
        for payload in payloads:
            await a.link.publish("device/x/cmd", payload, qos=1)
    async with carrier(mosquitto.url, "x") as link:
        x, heard = Listener(link), []
        while len(heard) < len(payloads):
            packets = [await x.until(Packet) for _ in range(20)]
            await link.settle(*packets)
            heard += [packet.payload for packet in packets]
        await link.publish("device/x/status", b"", qos=1)  # answered after all that was settled before it was read
    async with carrier(mosquitto.url, "x") as back:
        again = await Listener(back).quiet()

    assert heard == payloads
    assert again is None


async def test_what_came_over_an_earlier_connection_is_not_acknowledged_on_this_one(mosquitto):
    async with listening(PahoLink(mosquitto.url, "a")) as a:
        async with listening(MqttiumLink(mosquitto.url, "x")) as x:
            await x.link.subscribe("device/x/cmd")
            await a.link.publish("device/x/cmd", b"old", qos=1)
            old = await x.until(Packet)
            mosquitto.kill()
            await x.until(Disconnected)
            mosquitto.restart()
            await x.until(Connected)
            await x.link.publish("device/x/status", b"", qos=1)  # answered after the subscription before it was read
            await a.until(Connected)
            await a.link.publish("device/x/cmd", b"new", qos=1)
            await x.until(Packet)
            await x.link.settle(old)
        async with MqttiumLink(mosquitto.url, "x") as back:
            again = await Listener(back).until(Packet)

    assert again.payload == b"new"


async def test_of_qos_0_what_has_no_room_is_dropped_and_counted(mosquitto, monkeypatch):
    monkeypatch.setattr("broker.mqttium.BACKLOG", 2)
    async with listening(PahoLink(mosquitto.url, "a")) as a, listening(MqttiumLink(mosquitto.url, "x")) as x:
        await x.link.subscribe("device/x/log")
        for payload in (b"1", b"2", b"3", b"4", b"5"):
            await a.link.publish("device/x/log", payload)
        async with asyncio.timeout(WITHIN_S):
            while x.link.dropped < 2:  # noqa: ASYNC110 - a drop sends no event
                await asyncio.sleep(0.01)
        heard = [(await x.until(Packet)).payload for _ in range(3)]

    assert (heard, x.link.dropped) == ([b"1", b"2", b"3"], 2)


async def test_nats_keeps_sessions_and_what_is_retained_when_it_is_killed(nats):
    async with listening(PahoLink(nats.url, "sleeper")) as sleeper, listening(PahoLink(nats.url, "a")) as a:
        await sleeper.link.subscribe("device/x/cmd")
        await a.link.publish("device/x/info", b"{}", qos=1, retain=True)
    async with listening(PahoLink(nats.url, "a")) as a:
        await a.link.publish("device/x/cmd", b"ping", qos=1)
        nats.restart()
        await a.until(Connected)
        await a.link.subscribe("device/x/info")
        kept = await a.until(Packet)
    async with PahoLink(nats.url, "sleeper") as again:
        waited = await Listener(again).until(Packet)

    assert (kept.payload, kept.retain) == (b"{}", True)
    assert waited.payload == b"ping"


async def test_a_session_that_does_not_last_leaves_nothing_behind(mosquitto):
    async with listening(PahoLink(mosquitto.url, "x", lasting=False)) as x:
        await x.link.subscribe("device/x/cmd")
    async with PahoLink(mosquitto.url, "x") as again:
        connected = await Listener(again).until(Connected)

    assert not connected.session_present


async def test_a_client_that_is_cut_off_gets_its_will_sent(broker):
    will = Will(topic="device/x/status", payload=b"lost")
    async with listening(PahoLink(broker.url, "watcher")) as watcher:
        await watcher.link.subscribe("device/x/status")
        async with listening(PahoLink(broker.url, "x", will=will, keepalive_s=2)) as x:
            x.link._client.socket().close()
            packet = await watcher.until(Packet)

    assert packet.payload == b"lost"


@pytest.mark.parametrize("kind", [PahoLink, MqttiumLink])
async def test_a_link_that_is_dropped_has_its_will_sent_and_does_not_come_back(kind, mosquitto):
    will = Will(topic="device/x/status", payload=b"lost")
    async with listening(PahoLink(mosquitto.url, "watcher")) as watcher:
        await watcher.link.subscribe("device/x/status")
        async with listening(kind(mosquitto.url, "x", will=will)) as x:
            await x.link.drop()
            packet = await watcher.until(Packet)
            assert not x.link.connected

    assert packet.payload == b"lost"


@pytest.mark.parametrize(
    ("pattern", "topic", "heard"),
    [
        ("device/+/cmd", "device/x/cmd", True),
        ("device/+/cmd", "device/x/y/cmd", False),
        ("device/#", "device/x/cmd", True),
        ("device/x", "device/x/cmd", False),
        ("#", "anything", True),
    ],
)
def test_filters_match_as_mqtt_says(pattern, topic, heard):
    assert matches(pattern, topic) is heard


@pytest.mark.parametrize(
    "url",
    [
        "http://a",
        "mqtt://",
        "mqtt://h:port",
        "mqtt://h:99999",
        "mqtt://a,,b",
        "mqtt://a,mqtt://b",
        "mqtt://user@a",
        "a/b",
    ],
)
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(LinkError) as refused:
        address(url)

    assert "mqtt://" in refused.value.hint


def test_an_address_may_leave_scheme_and_port_out():
    assert address("localhost") == ("localhost", 1883, False)
    assert address("mqtts://h") == ("h", 8883, True)


def test_several_hosts_are_one_address_and_each_client_has_an_order_of_its_own():
    found = hosts("mqtts://a, b:1884,[::1]:1885")
    first = [found.in_order_for(f"d{n}")[0] for n in range(300)]

    assert (found.nodes, found.tls) == ((("a", 8883), ("b", 1884), ("::1", 1885)), True)
    assert found.in_order_for("d1") == found.in_order_for("d1")
    assert min(first.count(node) for node in found.nodes) > 70


@NO_MOSQUITTO
@pytest.mark.parametrize("kind", KINDS)
async def test_a_client_goes_to_the_first_host_that_answers_and_on_when_it_is_gone(kind, tmp_path, free_port):
    nodes = [RunningBroker("mosquitto", tmp_path) for _ in range(2)]
    url = f"mqtt://127.0.0.1:{nodes[0].port},127.0.0.1:{free_port},127.0.0.1:{nodes[1].port}"
    try:
        async with listening(kind(url, "x", keepalive_s=2)) as x:
            first = next(each for each in nodes if x.link.node.endswith(str(each.port)))
            first.kill()
            await x.until(Disconnected)
            assert x.link.node is None
            await x.until(Connected)
            await x.link.publish("device/x/ack", b"{}", qos=1)
            assert x.link.node != f"127.0.0.1:{first.port}"
    finally:
        for each in nodes:
            each.kill()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_node_that_takes_a_connection_and_says_nothing_is_left(kind, mosquitto, monkeypatch):
    monkeypatch.setattr("broker.paho.ANSWER_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        url = f"mqtt://127.0.0.1:{port},127.0.0.1:{mosquitto.port}"
        asks_mute_first = next(f"d{n}" for n in range(99) if hosts(url).in_order_for(f"d{n}")[0][1] == port)
        async with listening(kind(url, asks_mute_first)) as x:
            node = x.link.node

    assert node == f"127.0.0.1:{mosquitto.port}"
