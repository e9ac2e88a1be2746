"""`edgewatt simulate`: a fleet in a few processes, from the command line to its report."""

import asyncio
import json

import pytest
from mqttium.codec.buffer import IncrementalDecoder
from mqttium.enums import PacketType
from mqttium.packets._publish import decode_qos12_fields_v311

from broker.mqttium import MqttiumLink
from broker.topics import controller_filters
from controller.cli.app import run
from controller.cli.exits import Exit
from controller.cli.simulated import total
from controller.program import compose
from controller.settings import Settings
from controller.storage.store import Store
from edge_agent.simulation.light.course import Course
from edge_agent.simulation.light.publisher import heading, packet
from tests.fleet.test_link import listening


@pytest.fixture
def simulate(mosquitto, tmp_path, capsys):
    def call(*words):
        where = ("--broker", mosquitto.url, "--data", str(tmp_path / "data"))
        code = run(("simulate", *where, *words))
        return code, *capsys.readouterr()

    return call


def test_a_fleet_is_played_in_processes_and_reported(simulate):
    code, out, err = simulate(
        "--devices", "6", "--processes", "2", "--minutes", "0.06", "--seed", "3", "--faults", "cuts"
    )
    report = json.loads(out)

    assert code == Exit.DONE
    assert (report["devices"], report["connected"], report["processes"]) == (6, 6, 2)
    assert (report["seed"], report["faults"], report["simulated"]) == (3, ["cuts"], True)
    assert "6 of 6 connected" in err or "starting" in err


def test_what_makes_no_sense_is_said_in_a_sentence(simulate):
    code, out, err = simulate("--devices", "2", "--faults", "gremlins")

    assert (code, out) == (Exit.USAGE, "")
    assert "gremlins" in err
    assert "hint: known:" in err


def test_a_broker_that_is_no_address_is_refused_before_anything_starts(capsys):
    assert run(("simulate", "--broker", "http://x")) != Exit.DONE
    assert "mqtt://" in capsys.readouterr().err


def test_a_light_fleet_registers_and_speaks_over_few_connections(simulate, mosquitto, tmp_path):
    asyncio.run(subscribed(mosquitto.url))
    words = ("--light", "--devices", "50", "--connections", "2", "--interval", "0.5", "--minutes", "0.05")
    code, out, err = simulate(*words)
    report = json.loads(out)
    store = Store(None)
    asyncio.run(taken_in(mosquitto.url, store, tmp_path, report["acked"]))

    assert code == Exit.DONE
    assert (report["registered"], report["connections"], report["losses"], report["simulated"]) == (50, 2, 0, True)
    assert report["acked"] > 0
    assert stored(store) >= report["acked"]
    assert "registered" in err or "sent" in err or "starting" in err
    assert store.count_devices() == 50


async def subscribed(url):
    async with listening(MqttiumLink(url, "controller")) as session:
        await session.link.subscribe(*controller_filters())


async def taken_in(url, store, folder, count):
    parts = compose(Settings(data=folder), store, MqttiumLink(url, "controller"), "e1")
    async with parts.ingest.link, asyncio.timeout(20):
        running = asyncio.create_task(parts.ingest.run())
        while stored(store) < count:  # noqa: ASYNC110 - a row sends no event
            await asyncio.sleep(0.02)
        running.cancel()


def stored(store):
    [row] = store.query("SELECT count(*) AS n FROM telemetry")
    return row["n"]


def test_a_light_fleet_has_no_faults_and_agents_are_not_for_a_hundred_thousand(simulate):
    assert "has no faults" in simulate("--light", "--faults", "cuts")[2]
    assert "add --light" in simulate("--devices", "100000")[2]


def test_a_light_fleet_says_that_there_is_no_broker(simulate, mosquitto):
    mosquitto.kill()

    code, _, err = simulate("--light")

    assert code != Exit.DONE
    assert "no broker at 127.0.0.1" in err


def test_what_a_light_fleet_does_not_manage_is_late_and_never_left_out():
    course = Course(per_s=100.0, began=10.0)
    course.done += 50

    assert (course.due(10.5), course.behind_s(10.5)) == (0, 0.0)
    assert (course.due(12.0), course.behind_s(12.0)) == (150, 1.5)
    course.turn(200.0, 12.0)
    assert (course.due(12.0), course.due(13.0)) == (150, 350)
    course.done += 350
    assert (course.due(13.0), course.behind_s(13.0), course.worst_behind_s) == (0, 0.0, 1.5)


@pytest.mark.parametrize("size", [0, 100, 200, 20_000])
def test_messages_of_any_length_are_framed_as_mqtt_says(size):
    first, topic = heading("device/d1/telemetry", retain=True)
    framed = IncrementalDecoder()
    framed.feed(packet(first, topic, 258, b"x" * size))

    raw = framed.next_packet()

    assert (raw.packet_type, raw.flags) == (PacketType.PUBLISH, 0b0011)
    assert decode_qos12_fields_v311(raw)[:3] == ("device/d1/telemetry", b"x" * size, 258)


def test_the_counts_of_processes_are_added_up():
    one = {"devices": 2, "connected": 1, "with_model": 1, "reboots": 0, "misfires": 0, "commands": {"failed": 1}}
    two = {"devices": 3, "connected": 3, "with_model": 0, "reboots": 2, "misfires": 0, "commands": {"failed": 2}}

    added = total([one | {"lag_ms": 5}, two | {"lag_ms": 40}])

    assert (added["devices"], added["connected"], added["reboots"]) == (5, 4, 2)
    assert (added["commands"], added["lag_ms"]) == ({"failed": 3}, 40)
