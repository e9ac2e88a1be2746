"""A broker with TLS, users and rights: each device is alone with its topics, and nobody silences another."""

import asyncio
import contextlib
import ssl
from datetime import timedelta

import pytest

from broker.credentials import Credentials
from broker.errors import LinkError
from broker.link import Connected, Disconnected, Packet, Will
from broker.looped import LoopedLink
from broker.mqttium import MqttiumLink
from broker.paho import PahoLink
from broker.passwords import read_users, write_users
from broker.topics import CONTROLLER_STATUS
from controller.security import certificates
from tests.conftest import NO_MOSQUITTO
from tests.fleet.secured import SecuredBroker, make_security

WITHIN_S = 20


@pytest.fixture(scope="module", params=["amqtt", pytest.param("mosquitto", marks=NO_MOSQUITTO)])
def secured(request, tmp_path_factory):
    """A secured broker of each kind that knows pi5-1 and pi5-2."""
    running = SecuredBroker(tmp_path_factory.mktemp("secured"), request.param)
    running.one, running.two = running.add("pi5-1", "pi5-2")
    yield running
    running.kill()


class Ear:
    """A link and what it heard."""

    def __init__(self, link):
        self.link, self.events = link, link.events()

    async def until(self, holds):
        """Return all packets up to the first event that `holds`."""
        heard = []
        async with asyncio.timeout(WITHIN_S):
            async for event in self.events:
                if holds(event):
                    return heard, event
                if isinstance(event, Packet):
                    heard.append(event)
        raise AssertionError("the events ended")

    async def marker(self, topic):
        """Return the topics heard before that of a marker."""
        heard, _ = await self.until(lambda event: isinstance(event, Packet) and event.topic == topic)
        return [packet.topic for packet in heard]


@contextlib.asynccontextmanager
async def joined(secured, who, *, client_id=None, will=None, kind=PahoLink):
    url = secured.people_url if who.username == "operator" else secured.url
    link = kind(url, client_id or who.username, will=will, credentials=who, keepalive_s=5)
    async with link:
        ear = Ear(link)
        await ear.until(lambda event: isinstance(event, Connected))
        yield ear


async def refusal(url, client_id, credentials, kind=PahoLink):
    """Return why a connection does not come about."""
    async with kind(url, client_id, credentials=credentials) as link:
        _, loss = await Ear(link).until(lambda event: isinstance(event, Disconnected))
    return loss


@pytest.mark.parametrize("kind", [PahoLink, LoopedLink, MqttiumLink])
async def test_a_device_hears_what_is_for_it_and_nothing_of_others_however_it_asks(secured, kind):
    controller = secured.credentials("controller")
    async with joined(secured, secured.one, kind=kind) as device, joined(secured, controller) as other:
        await other.link.publish("device/pi5-2/desired", b"{}", qos=1, retain=True)
        await device.link.subscribe("device/pi5-1/cmd", CONTROLLER_STATUS)
        for wanted in ("#", "device/#", "device/+/cmd", "device/pi5-2/desired", "+/+/+", "fleet/#"):
            with contextlib.suppress(LinkError):  # Mosquitto grants it and filters, the embedded broker refuses
                await device.link.subscribe(wanted)
        await other.link.publish("device/pi5-2/cmd", b"ping", qos=1)
        await other.link.publish(CONTROLLER_STATUS, b"{}", qos=1)
        await other.link.publish("device/pi5-1/cmd", b"ping", qos=1)

        assert set(await device.marker("device/pi5-1/cmd")) == {CONTROLLER_STATUS}


async def test_a_device_speaks_for_itself_alone(secured):
    will = Will(topic="device/pi5-2/status", payload=b"lost")
    async with joined(secured, secured.credentials("controller")) as controller:
        await controller.link.subscribe("device/+/status", "device/+/cmd", "device/+/desired", CONTROLLER_STATUS)
        async with joined(secured, secured.one, will=will, kind=LoopedLink) as device:
            for topic in ("device/pi5-2/status", "device/pi5-2/cmd", "device/pi5-2/ack", "device/pi5-1/cmd"):
                await device.link.publish(topic, b"forged", qos=1)
            await device.link.publish("device/pi5-1/desired", b"forged", qos=1, retain=True)
            await device.link.publish(CONTROLLER_STATUS, b"forged", qos=1, retain=True)
            device.link.cut()
            await device.until(lambda event: isinstance(event, Disconnected))
            device.link.mend()
            await device.until(lambda event: isinstance(event, Connected))
            await device.link.publish("device/pi5-1/status", b"marker", qos=1)
            heard, _ = await controller.until(lambda event: getattr(event, "payload", b"") == b"marker")

    assert [packet for packet in heard if packet.payload in (b"forged", b"lost")] == []


async def test_an_operator_commands_and_reads_and_writes_nothing_else(secured):
    async with joined(secured, secured.credentials("controller")) as controller:
        await controller.link.subscribe("device/#", CONTROLLER_STATUS)
        async with joined(secured, secured.credentials("operator")) as person:
            await person.link.subscribe("device/+/ack")
            for topic in ("device/pi5-1/status", "device/pi5-1/desired", "device/pi5-1/telemetry", CONTROLLER_STATUS):
                await person.link.publish(topic, b"forged", qos=1)
            await person.link.publish("device/pi5-9/cmd", b"ping", qos=1)
            heard, _ = await controller.until(lambda event: getattr(event, "topic", "") == "device/pi5-9/cmd")
            assert [packet for packet in heard if packet.payload == b"forged"] == []
            async with joined(secured, secured.two) as device:
                await device.link.publish("device/pi5-2/ack", b"{}", qos=1)
            assert await person.marker("device/pi5-2/ack") == []


async def test_people_have_several_connections_at_a_door_of_their_own(secured):
    operator = secured.credentials("operator")
    async with joined(secured, operator, client_id="tail") as tail:
        await tail.link.subscribe("device/+/ack")
        async with joined(secured, operator, client_id="typing") as other, joined(secured, secured.one) as device:
            await other.link.publish("device/pi5-1/cmd", b"ping", qos=1)
            await device.link.publish("device/pi5-1/ack", b"{}", qos=1)
            assert await tail.marker("device/pi5-1/ack") == []
            assert other.link.connected
    if secured.kind == "mosquitto":
        assert (await refusal(secured.people_url, "x", secured.one)).code == "not_let_in"


async def test_nobody_is_silenced_by_a_stranger_or_by_a_foreign_client_id(secured):
    async with joined(secured, secured.one) as victim:
        nobody = Credentials(ca_file=secured.one.ca_file)
        assert (await refusal(secured.url, "pi5-1", nobody)).code == "not_let_in"
        async with joined(secured, secured.two, client_id="pi5-1") as thief:
            with contextlib.suppress(LinkError):
                await thief.link.subscribe("device/pi5-1/cmd")
            async with joined(secured, secured.credentials("controller")) as controller:
                await victim.link.subscribe("device/pi5-1/cmd")
                await controller.link.publish("device/pi5-1/cmd", b"ping", qos=1)
                before, _ = await victim.until(lambda event: isinstance(event, Packet))
                assert before == []
                assert victim.link.connected
                await controller.link.publish("device/pi5-2/cmd", b"ping", qos=1)
                await thief.link.subscribe("device/pi5-2/cmd")
                await controller.link.publish("device/pi5-2/cmd", b"ping", qos=1)
                assert await thief.marker("device/pi5-2/cmd") == []


async def test_a_user_that_is_gone_loses_its_session_and_the_others_keep_theirs(secured):
    lost, kept = secured.add("lost-1", "kept-1")
    async with joined(secured, lost) as one, joined(secured, kept) as other:
        users = read_users(secured.security.passwords)
        write_users(secured.security.passwords, {name: users[name] for name in users if name != "lost-1"})
        secured.reload()

        await one.until(lambda event: isinstance(event, Disconnected) and event.code == "not_let_in")
        await other.link.publish("device/kept-1/ack", b"{}", qos=1)
        assert other.link.connected


@pytest.mark.parametrize("kind", [PahoLink, MqttiumLink])
async def test_each_cause_of_no_connection_is_told_apart_in_words(secured, tmp_path, kind):
    stranger = make_security(tmp_path / "stranger").security
    right, ca = secured.one, secured.one.ca_file
    plain = f"mqtt://localhost:{secured.port}"
    causes = {
        "untrusted": (secured.url, Credentials(username="pi5-1", password="x", ca_file=str(stranger.ca))),
        "wrong_name": (secured.url.replace("localhost", "127.0.0.1"), right),
        "not_let_in": (secured.url, Credentials(username="pi5-1", password="wrong", ca_file=ca)),
        "closed_early": (plain, Credentials(username="pi5-1", password=right.password)),
        "unknown_host": ("mqtts://no-such-host.invalid:1", right),
        "unreachable": ("mqtts://localhost:1", right),
    }

    losses = {code: await refusal(url, "pi5-1", who, kind) for code, (url, who) in causes.items()}

    assert {code: loss.code for code, loss in losses.items()} == {code: code for code in causes}
    assert len({loss.reason for loss in losses.values()}) == len(causes)
    assert not [loss for loss in losses.values() if "wrong" in loss.reason or right.password in loss.reason]


async def test_a_certificate_that_is_over_or_a_port_without_tls_is_said(tmp_path, mosquitto):
    security = make_security(tmp_path / "old").security
    old = certificates.today() - certificates.SERVER - timedelta(days=1)
    ca = certificates.read_certificate(security.ca.read_bytes())
    ca_key = certificates.read_key(security.ca_key.read_bytes())
    key = certificates.read_key(security.server_key.read_bytes())
    over = certificates.server_certificate(key, ["localhost"], ca, ca_key, old)
    security.server.write_bytes(certificates.certificate_pem(over))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(security.server, security.server_key)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    who = Credentials(username="x", password="y", ca_file=str(security.ca))

    for kind in (PahoLink, MqttiumLink):
        loss = await refusal(f"mqtts://localhost:{port}", "x", who, kind)
        assert loss.code == "expired"
        assert "edgewatt init --renew" in loss.reason
        loss = await refusal(mosquitto.url.replace("mqtt://", "mqtts://"), "x", who, kind)
        assert loss.code in ("no_tls", "closed_early")
    server.close()
