"""What the controller makes of what it hears: nothing malformed stops it, nothing is dropped without a count."""

import asyncio
import json
import time

import pytest

from broker.errors import StorageError
from broker.link import Packet
from broker.messages import ControllerStatus, Energy, Info, LogLine, Status, Telemetry
from broker.topics import CONTROLLER_STATUS, INFO, LOG, ROUTES, STATUS, TELEMETRY
from broker.wire import MAX_PAYLOAD_BYTES, decode, encode
from controller import renewal
from controller.inspector import KEPT_OF_ALL, Inspector
from controller.rivals import Rivals
from controller.telemetry.history import EARLIEST_TS
from tests.controlling import controller


@pytest.fixture
async def running(tmp_path):
    async with controller(tmp_path) as whole:
        yield whole


def refused(running):
    return running.parts.service.store.counters()


async def counted(running, name, at_least=1):
    async def there():
        return refused(running).get(name, 0) >= at_least

    await running.until(there)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.suffix)
async def test_malformed_and_oversize_json_on_every_topic_is_counted_shown_and_changes_nothing(running, route):
    async with running.joined() as device:
        for payload in (b"{", b"\xff\xfe", b'"text"', b"[1]", b" " * (MAX_PAYLOAD_BYTES + 1)):
            await device.link.publish(route.topic("pi5-1"), payload, qos=1)
        if route.suffix == "desired":
            return  # the controller writes it and does not listen
        await counted(running, "oversize")
        shown = (await running.get("/api/devices/pi5-1"))["device"]
        await device.sample(1, cpu_usage_percent=3.0)
        await running.until(lambda: has_reading(running))

    listed = (await running.get("/api/messages/refused"))["messages"]
    assert (listed[0]["code"], listed[0]["device_id"]) == ("oversize", "pi5-1")
    assert refused(running)["malformed"] == 4 if route.suffix != "cmd" else refused(running)["malformed"] >= 3
    assert any(entry["error"] for entry in shown["messages"][route.suffix])
    assert (await running.get("/api/status"))["messages"]["refused"]["oversize"] == 1


async def has_reading(running, device_id="pi5-1"):
    return (await running.get(f"/api/devices/{device_id}"))["device"]["latest"] is not None


async def test_a_device_id_outside_the_pattern_never_becomes_a_device(running):
    async with running.hub.link("odd") as odd:
        await odd.publish("device/Über-Pi/info", b'{"device_type":"generic"}', qos=1)
        await odd.publish("device/../../etc/info", b"{}", qos=1)
        await counted(running, "bad_id")

    assert (await running.get("/api/devices"))["total"] == 0
    assert (await running.get("/api/messages/refused"))["messages"]


async def test_a_command_to_a_device_that_never_registered_is_counted(running):
    async with running.hub.link("a-person") as person:
        await person.publish("device/ghost/cmd", b'{"op":"deploy","model":"digits_mlp"}', qos=1)
        await counted(running, "unknown_device")
        (told,) = (await running.get("/api/messages/refused"))["messages"]

    assert (told["topic"], told["device_id"], told["error"]) == ("device/ghost/cmd", None, "no device 'ghost' is here")
    assert (await running.get("/api/deployments"))["total"] == 0


async def test_another_controller_on_the_broker_is_told_once(running):
    async def itself_heard():
        return running.parts.ingest.hearing.received

    await running.until(itself_heard)
    async with running.hub.link("a-rival") as rival:
        for _ in range(2):
            status = ControllerStatus(online=True, epoch="rival", artifact_base_url="http://rival:5000")
            await rival.publish(CONTROLLER_STATUS, encode(status), qos=1)
        await running.until(lambda: events_of(running, "controller"))
        await rival.publish("device/ghost/cmd", b"ping", qos=1)
        await counted(running, "unknown_device")

    (told,) = await events_of(running, "controller")
    assert "another controller (http://rival:5000) uses this broker" in told["text"]


async def test_what_an_earlier_controller_left_behind_is_no_other_controller(running):
    rivals, store = Rivals(epoch="ours"), running.parts.service.store
    for epoch, online in (("earlier", False), ("ours", True), ("ours", False)):
        said = encode(ControllerStatus(online=online, epoch=epoch))
        rivals.hear(Packet(CONTROLLER_STATUS, said, 1, retain=True, mid=1), store, 1.0)

    assert await events_of(running, "controller") == []


@pytest.mark.parametrize("epoch", ["earlier", "e1"])
async def test_a_will_that_comes_late_is_contradicted_and_is_no_other_controller(running, epoch):
    def retained():
        return decode(ControllerStatus, running.hub.retained[CONTROLLER_STATUS].payload)

    async def contradicted():
        return retained().online

    await running.until(lambda: has_said_that_it_is_there(running))
    will = encode(ControllerStatus(online=False, epoch=epoch, reason="lost"))
    async with running.hub.link("a-broker") as late:
        await late.publish(CONTROLLER_STATUS, will, qos=1, retain=True)
        assert not retained().online
        await running.until(contradicted)
    await running.parts.ingest.say_goodbye()
    await running.until(lambda: counted_all(running))

    assert not retained().online
    assert await events_of(running, "controller") == []


async def has_said_that_it_is_there(running):
    return running.parts.ingest.hearing.received > 0


async def counted_all(running):
    """Whether a message that was sent after everything else was heard."""
    async with running.hub.link("a-person") as person:
        await person.publish("device/ghost/cmd", b"ping", qos=1)
    return refused(running).get("unknown_device", 0) > 0


async def events_of(running, kind):
    return (await running.get(f"/api/logs?type={kind}"))["logs"]


async def test_unknown_fields_of_a_newer_agent_are_kept_when_passed_on(running):
    async with running.joined() as device:
        info = {"device_type": "raspberry_pi_5", "hat": "hailo", "tags": {"line": "A"}}
        await device.link.publish("device/pi5-1/info", json.dumps(info).encode(), qos=1, retain=True)

        async def passed_on():
            return (await running.get("/api/devices/pi5-1"))["device"]["info"].get("hat") == "hailo"

        await running.until(passed_on)


async def test_missing_samples_are_counted_and_late_ones_fill_the_gap(running):
    async with running.joined() as device:
        await device.sample(1)
        await device.sample(5)
        await running.until(lambda: gaps_are(running, 3))
        spooled = tuple(Telemetry(ts=1.8e9, session="s1", seq=n, spooled=True) for n in (2, 3))
        await device.say(TELEMETRY, Telemetry(batch=spooled))
        await running.until(lambda: gaps_are(running, 1))


async def gaps_are(running, n, device_id="pi5-1"):
    return (await running.get(f"/api/devices/{device_id}"))["device"]["gaps"] == n


async def test_history_never_looks_like_a_live_reading(running):
    async with running.joined() as device:
        old = Telemetry(ts=time.time() - 3_600, session="s1", seq=1, cpu_usage_percent=99.0, spooled=True)
        await device.say(TELEMETRY, Telemetry(batch=(old,)))
        await device.say(LOG, LogLine(msg="done"))
        await running.until(lambda: has_log(running, "done"))

    device = (await running.get("/api/devices/pi5-1"))["device"]
    assert device["latest"] is None
    assert running.parts.service.store.query("SELECT count(*) AS n FROM telemetry")[0]["n"] == 1


async def has_log(running, text):
    return any(event["text"] == text for event in (await running.get("/api/logs", type="log"))["logs"])


async def test_a_board_without_a_clock_is_placed_at_the_time_it_was_heard(running):
    async with running.joined() as device:
        await device.say(TELEMETRY, Telemetry(ts=12.0, session="s1", seq=1))
        await device.say(TELEMETRY, Telemetry(ts=9e12, session="s1", seq=2))
        await counted(running, "clock_off", 2)

    placed = [row["ts"] for row in running.parts.service.store.query("SELECT ts FROM telemetry")]
    assert all(EARLIEST_TS < ts < 9e11 for ts in placed)


async def test_the_source_of_an_energy_stays_with_it_to_the_chart(running):
    async with running.joined() as device:
        await device.sample(1, energy=Energy(source="simulated", energy_mj=12.0))
        await running.until(lambda: has_reading(running))
        history = await running.get("/api/devices/pi5-1/telemetry", minutes=5)

    assert [bucket["energy_source"] for bucket in history["series"]] == ["simulated"]
    assert history["series"][0]["energy_mj"]["mean"] == 12.0


def fill_disk(running):
    """Let every write of the controller fail as on a full disk; return what frees it again."""
    store = running.parts.service.store
    real = store.transaction

    def transaction():
        raise StorageError("the database could not be written: disk is full", hint="free some disk space")

    store.transaction = transaction
    return lambda: setattr(store, "transaction", real)


async def test_a_full_disk_loses_no_batch_and_is_said(running):
    async with running.joined() as device:
        free = fill_disk(running)
        await device.sample(1, cpu_usage_percent=7.0)
        await running.until(lambda: complains(running))
        unsettled = len(running.parts.ingest.link.settled)
        free()
        await running.until(lambda: has_reading(running))

    assert (await running.http.get("/readyz")).status_code == 200
    assert len(running.parts.ingest.link.settled) > unsettled


async def test_a_disk_that_is_full_when_the_broker_comes_back_does_not_end_the_controller(running):
    async with running.joined() as device:
        await running.deploy(device_id="pi5-1", model_name="digits_mlp")
        wanted = await device.next_desired()
        free = fill_disk(running)
        running.hub.retained.clear()
        running.parts.ingest.link.lose()
        running.parts.ingest.link.connect()
        await running.until(lambda: complains(running))
        await running.until(lambda: is_said(running))
        free()
        again = await device.next_desired()
        await running.until(lambda: is_ready(running))

    assert decode_status(running).online is True
    assert again == wanted


async def is_ready(running):
    return (await running.http.get("/readyz")).status_code == 200


async def is_said(running):
    return CONTROLLER_STATUS in running.hub.retained


async def complains(running):
    return (await running.http.get("/readyz")).status_code == 507


async def test_the_controller_says_who_it_is_and_goes_with_a_goodbye(running):
    async with asyncio.timeout(10):
        while CONTROLLER_STATUS not in running.hub.retained:  # noqa: ASYNC110 - the hub keeps what was said, no event
            await asyncio.sleep(0.01)
    before = decode_status(running)
    await running.parts.ingest.say_goodbye()

    assert (before.online, before.epoch) == (True, "e1")
    assert before.artifact_base_url.startswith("http://")
    assert decode_status(running).online is False


def decode_status(running):
    return decode(ControllerStatus, running.hub.retained[CONTROLLER_STATUS].payload)


async def test_what_is_desired_is_said_again_to_a_broker_that_forgot_it(running):
    async with running.joined() as device:
        await running.deploy(device_id="pi5-1", model_name="digits_mlp")
        first = await device.next_desired()
        running.hub.retained.clear()
        running.parts.ingest.link.lose()
        running.parts.ingest.link.connect()
        again = await device.next_desired()

    assert first == again


async def test_what_many_devices_converge_to_is_said_again_in_pieces_that_no_restart_loses(running, monkeypatch):
    monkeypatch.setattr(renewal, "AT_ONCE", 2)
    service, at = running.parts.service, 1.8e9
    with service.store.transaction():
        for index in range(5):
            service.store.add_device(f"d{index}", at, approved=True)
            service.store.put_device(f"d{index}", desired={"gen": index})
        renewal.Renewal(lifecycle=service.lifecycle).say_all(at)
        said = [[row["device_id"] for row in service.outbox.due(at)]]
        for _ in range(3):
            renewal.Renewal(lifecycle=service.lifecycle).tick(at)
            said.append([row["device_id"] for row in service.outbox.due(at)])
        service.store.connection.execute("DELETE FROM outbox")

    assert [len(each) for each in said] == [2, 4, 5, 5]


async def reported(running):
    return (running.parts.service.store.device("pi5-1") or {}).get("state")


async def test_a_forgotten_device_loses_its_retained_topics_and_comes_back_when_it_speaks(running):
    async with running.joined() as device:
        await device.report()
        await running.until(lambda: reported(running))
        answer = await running.http.delete("/api/devices/pi5-1")

        async def nothing_retained():
            return not any(topic.startswith("device/pi5-1/") for topic in running.hub.retained)

        await running.until(nothing_retained)
        gone = await running.http.get("/api/devices/pi5-1")
        await device.join()
        await running.until(lambda: running.knows("pi5-1"))

    assert answer.status_code == 200
    assert gone.status_code == 404


async def test_a_refusal_that_is_nobodys_news_becomes_no_command(running):
    async with running.joined() as device:
        await device.ack("h-000000000001", "rejected", 0, attempt=0, op="ping")
        await device.ack("p1", "succeeded", 2, op="ping")
        await running.until(lambda: known(running, "p1"))
        listed = running.parts.service.store.query("SELECT id FROM commands")

    assert listed == [{"id": "p1"}]


async def known(running, command_id):
    return running.parts.service.commands.get(command_id) is not None


async def test_what_a_device_says_a_second_time_word_for_word_is_heard_and_written_once(running):
    device_id, store, hearing = "pi5-1", running.parts.service.store, running.parts.ingest.hearing
    info = encode(Info(device_type="raspberry_pi_5", session="s1", tags={"line": "A"}))
    said = (INFO, info), (STATUS, encode(Status(online=True, session="s1", ts=5.0)))

    def hear(at):
        before = getattr(store.connection, "total_changes", at)
        with store.transaction():
            for route, payload in said:
                hearing.hear(Packet(route.topic(device_id), payload, 1, retain=True, mid=1), at)
        return getattr(store.connection, "total_changes", at) - before

    hear(1.0)
    known = store.device(device_id)

    assert hear(2.0) == 0
    assert store.device(device_id) == known
    assert (known["online"], known["status_at"], known["device_type"]) == (1, 1.0, "raspberry_pi_5")
    assert len(hearing.inspector.of(device_id)["status"]) == 2


def test_of_a_large_fleet_the_newest_messages_are_kept_and_what_is_said_seldom_does_not_give_way():
    inspector = Inspector()
    inspector.keep("first", "info", Packet("device/first/info", b"{}"), 1.0)
    for number in range(KEPT_OF_ALL + 20):
        talks = ("first", "second")[number >= 20]
        inspector.keep(talks, "telemetry", Packet(f"device/{talks}/telemetry", b"%d" % number), 2.0)

    first, second = inspector.of("first"), inspector.of("second")

    assert [each["payload"] for each in first["info"]] == ["{}"]
    assert "telemetry" not in first
    assert [each["payload"] for each in second["telemetry"]] == [str(KEPT_OF_ALL + n) for n in range(10, 20)]
