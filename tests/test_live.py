"""Live telemetry: each reader gets what it asked for, and one that is too slow holds up nobody."""

import asyncio
import contextlib
import json
import socket

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from broker.messages import Energy, Telemetry
from broker.topics import TELEMETRY
from controller.telemetry.live import Live
from tests.controlling import WITHIN_S, controller, served

LONG = "m" * 50_000
BURST = 25


@pytest.fixture
async def whole(tmp_path, free_port):
    async with controller(tmp_path) as running, served(running, free_port) as url:
        running.ws = url.replace("http", "ws") + "/ws/telemetry"
        yield running


def sample(seq):
    return Telemetry(ts=1.7e9, session="s1", seq=seq)


async def heard(reader):
    async with asyncio.timeout(WITHIN_S):
        return json.loads(await reader.recv())


@contextlib.asynccontextmanager
async def stalled(url):
    """A reader that reads nothing until it is asked to, with as little room on the way as there can be."""
    with socket.socket() as conversation:
        conversation.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        host, _, rest = url.removeprefix("ws://").partition(":")
        conversation.connect((host, int(rest.partition("/")[0])))
        conversation.setblocking(False)
        async with connect(url, sock=conversation, max_queue=1, ping_interval=None, close_timeout=1) as reader:
            yield reader


async def test_each_sample_is_sent_as_the_device_told_it_with_its_source(whole):
    async with whole.joined() as device, connect(whole.ws) as reader:
        energy = Energy(source="simulated", energy_mj=3.0)
        await device.sample(1, cpu_usage_percent=12.0, energy=energy)
        await device.sample(2, cpu_usage_percent=13.0)
        first, second = await heard(reader), await heard(reader)

    assert (first["device_id"], first["telemetry"]["cpu_usage_percent"]) == ("pi5-1", 12.0)
    assert first["telemetry"]["energy"] == {"source": "simulated", "energy_mj": 3.0}
    assert second["telemetry"]["seq"] == 2
    assert "energy" not in second["telemetry"]
    assert first["received_at"] == pytest.approx(first["telemetry"]["ts"], abs=60)


async def test_a_reader_hears_only_the_devices_that_it_named(whole):
    async with (
        whole.joined("a") as a,
        whole.joined("b") as b,
        whole.joined("c") as c,
        connect(f"{whole.ws}?device_id=a&device_id=c") as some,
        connect(whole.ws) as everything,
    ):
        for device in (b, a, c):
            await device.sample(1)
        named = [(await heard(some))["device_id"] for _ in range(2)]
        all_of_them = {(await heard(everything))["device_id"] for _ in range(3)}

    assert sorted(named) == ["a", "c"]
    assert all_of_them == {"a", "b", "c"}


async def test_what_was_spooled_on_a_device_is_history(whole):
    async with whole.joined() as device, connect(whole.ws) as reader:
        await device.say(TELEMETRY, Telemetry(batch=(sample(1), sample(2))))
        await device.sample(3)
        told = await heard(reader)

    assert told["telemetry"]["seq"] == 3


async def test_an_unknown_device_is_answered_in_the_form_of_every_error_with_the_nearest(whole):
    async with whole.joined():
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{whole.ws}?device_id=pi5_1").__aenter__()

    answer = refused.value.response
    said = json.loads(answer.body)
    assert (answer.status_code, said["success"], said["code"]) == (404, False, "unknown_device")
    assert "pi5-1" in said["hint"]


async def test_a_reader_that_is_too_slow_is_closed_with_the_reason_and_nobody_else_waits_for_it(whole):
    live = whole.parts.ingest.hearing.live
    async with whole.joined() as device, stalled(whole.ws) as slow, connect(whole.ws) as quick:
        for reader in live._readers:
            reader.most_waiting = BURST
        seq = 0
        while not live.dropped:
            for _ in range(BURST):
                seq += 1
                await device.sample(seq, model=LONG)
            assert [(await heard(quick))["telemetry"]["seq"] for _ in range(BURST)][-1] == seq
        status = await whole.get("/api/status")
        with pytest.raises(ConnectionClosed) as closed:
            async with asyncio.timeout(WITHIN_S):
                while True:
                    await slow.recv()
        await device.sample(seq + 1)
        assert (await heard(quick))["telemetry"]["seq"] == seq + 1

    assert status["live"]["dropped"] == 1
    assert (closed.value.rcvd.code, closed.value.rcvd.reason[:8]) == (1013, "too slow")
    stored = whole.parts.service.store.query("SELECT count(*) AS n FROM telemetry")[0]["n"]
    assert stored >= seq


async def test_a_reader_that_leaves_is_forgotten_and_what_it_says_is_nothing(whole):
    async with connect(whole.ws) as reader:
        await reader.send("hello")
        assert (await whole.get("/api/status"))["live"]["readers"] == 1

    async def nobody():
        return (await whole.get("/api/status"))["live"]["readers"] == 0

    await whole.until(nobody)


async def test_one_reader_too_many_is_told_so(whole):
    whole.parts.ingest.hearing.live.most_readers = 1
    async with connect(whole.ws):
        with pytest.raises(InvalidStatus) as refused:
            await connect(whole.ws).__aenter__()

    assert refused.value.response.status_code == 503
    assert json.loads(refused.value.response.body)["code"] == "too_many_readers"


async def test_a_controller_that_stops_closes_its_readers(tmp_path, free_port):
    async with controller(tmp_path) as running:
        async with served(running, free_port) as url:
            reader = await connect(url.replace("http", "ws") + "/ws/telemetry").__aenter__()
        with pytest.raises(ConnectionClosed) as closed:
            await reader.recv()

    assert closed.value.rcvd.code == 1012


async def test_what_could_not_be_stored_is_told_once_when_it_was():
    live = Live()
    with live.reading(frozenset()) as reader:
        live.hold("a", sample(1), 1.0)
        live.discard()
        live.hold("a", sample(1), 2.0)
        live.release()
        live.release()
        told = [json.loads(await anext(reader.messages()))]

    assert [(each["received_at"], each["telemetry"]["seq"]) for each in told] == [(2.0, 1)]
    assert not reader._waiting
