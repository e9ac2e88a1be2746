"""The controller as a process on real brokers: killed in the middle, cut off, started again; no command is lost."""

import asyncio
import json
from pathlib import Path

import pytest

from broker.paho import PahoLink
from controller.cli.readiness import wait_until
from tests.fleet.controllers import RunningController
from tests.fleet.devices import FakeDevice

MODEL = "digits_mlp"
KILLER = str(Path(__file__).parent / "killing_controller.py")


def device_on(broker, device_id="pi5-1"):
    return FakeDevice(PahoLink(broker.url, device_id, keepalive_s=5), device_id)


def knows(controller, device_id="pi5-1"):
    device = controller.get(f"/api/devices/{device_id}").json().get("device", {})
    return device.get("device_type") is not None


@pytest.fixture
def start(broker, tmp_path):
    """A function that starts a controller on the broker of this test."""
    started = []

    def begin(**more):
        started.append(RunningController(broker.url, tmp_path / "controller", **more))
        return started[-1]

    yield begin
    for controller in started:
        controller.kill()


async def until(condition):
    """Wait for a controller in another process; the fake device's loop runs meanwhile."""
    assert await asyncio.to_thread(wait_until, condition, within_s=30)


@pytest.mark.parametrize("moment", ["/desired", "/cmd"])
async def test_killed_between_its_database_write_and_its_publish_it_sends_the_command_when_it_is_back(
    broker, start, moment
):
    controller = start(launcher=(KILLER, moment))
    async with device_on(broker) as device:
        await device.join()
        await until(lambda: knows(controller))
        typed = json.dumps({"op": "deploy", "id": "t1", "model": MODEL}).encode()
        async with PahoLink(broker.url, "a-person") as person:
            await until(lambda: person.connected)
            await person.publish("device/pi5-1/cmd", typed, qos=1)
        assert controller.wait_for_death() == -9
        controller.start()
        await device.next_command("deploy")
        complete = await device.next_command("deploy")
        await device.ack("t1", "succeeded", 9)
        await until(lambda: controller.phase("t1") == "succeeded")

    assert complete.id == "t1"
    assert complete.artifact is not None


async def test_when_the_broker_dies_and_comes_back_the_fleet_is_live_again_and_a_deployment_goes_on(broker, start):
    controller = start()
    async with device_on(broker) as device:
        await device.join()
        await until(lambda: knows(controller))
        broker.kill()
        await until(lambda: controller.get("/readyz").status_code == 503)
        said = controller.get("/readyz").json()
        answer = controller.post("/api/deploy", device_id="pi5-1", model_name=MODEL)
        broker.restart()
        await until(lambda: controller.get("/readyz").status_code == 200)
        await until(lambda: device.link.connected)
        await device.join()
        command = await device.next_command("deploy")

    assert (said["code"], bool(said["hint"])) == ("broker_unreachable", True)
    assert answer.status_code == 202
    assert command.id == answer.json()["deployment_id"]


async def test_a_polite_stop_says_goodbye_and_leaves_no_trace_of_a_crash(broker, start):
    controller = start()
    async with PahoLink(broker.url, "watcher") as watcher:
        assert controller.stop() == 0
        await watcher.subscribe("fleet/controller/status")
        async for event in watcher.events():
            if getattr(event, "payload", None):
                said = json.loads(event.payload)
                break

    assert said["online"] is False
    assert said["reason"] == "shutdown"
    assert "Traceback" not in controller.log


def test_a_port_that_is_taken_is_said_in_a_sentence(mosquitto, tmp_path):
    with pytest.raises(AssertionError, match=r"cannot listen on 127\.0\.0\.1"):
        RunningController(mosquitto.url, tmp_path, arguments=("--port", str(mosquitto.port)))
