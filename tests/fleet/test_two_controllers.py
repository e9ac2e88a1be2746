"""Controllers on PostgreSQL, killed alone and while another one stands by: nothing is lost or doubled."""

import asyncio
import contextlib
import time

import httpx
import pytest

from broker.link import Packet
from broker.paho import PahoLink
from broker.topics import CONTROLLER_STATUS, decode_controller_status
from controller.cli.processes import launch
from controller.cli.readiness import wait_until
from controller.cli.simulated import FleetWishes, programs
from edge_agent.simulation.audit import audit
from tests.fleet.brokers import free_port
from tests.fleet.controllers import RunningController
from tests.fleet.devices import FakeDevice
from tests.fleet.postgres import BINARIES, RunningPostgres

MODELS = ("digits_mlp", "digits_cnn_s")
DEVICES = 4

pytestmark = pytest.mark.skipif(not BINARIES, reason="PostgreSQL is not installed: apt-get install postgresql")


@pytest.fixture(scope="module")
def server():
    """A server that is as safe as it comes."""
    running = RunningPostgres()
    yield running
    running.remove()


@pytest.fixture
def start(server, mosquitto, tmp_path):
    """A function that starts a controller on the broker and the database of this test."""
    started, database = [], server.database()

    def begin(*arguments, **more):
        arguments = ("--database", database.url, "--redelivery-s", "2", *arguments)
        started.append(RunningController(mosquitto.url, tmp_path / "data", arguments=arguments, **more))
        return started[-1]

    yield begin
    for controller in started:
        controller.kill()


class Front:
    """What stands before controllers: gives each connection to the one that says that it is ready."""

    def __init__(self):
        self.port, self.controllers = free_port(), []
        self.url = f"http://127.0.0.1:{self.port}"

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *error):
        self._server.close()

    async def _meet(self, reader, writer):
        for each in self.controllers:
            if await asyncio.to_thread(each.is_ready):
                there, back = await asyncio.open_connection("127.0.0.1", each.port)
                await asyncio.gather(self._pass(reader, back), self._pass(there, writer), return_exceptions=True)
                break
        writer.close()

    async def _pass(self, reader, writer):
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()


async def until(condition, within_s=40):
    """Wait for something in another process, which may be between two lives; the fake device's loop runs meanwhile."""

    def holds():
        with contextlib.suppress(httpx.HTTPError):
            return condition()

    assert await asyncio.to_thread(wait_until, holds, within_s=within_s)


@pytest.fixture
async def front():
    async with Front() as standing:
        yield standing


def knows(controller, device_id="pi5-1"):
    return controller.get(f"/api/devices/{device_id}").json().get("device", {}).get("device_type") is not None


def introduced(controller):
    """Return how many devices have said what they are."""
    return sum(bool(each["device_type"]) for each in controller.get("/api/devices").json()["devices"])


def role(controller):
    return controller.get("/api/status").json().get("controller", {}).get("role")


def epoch(controller):
    """Return in which life of its kind an active one is, None for one that stands by."""
    return controller.get("/api/status").json().get("controller", {}).get("epoch")


async def said(watcher):
    """Return the reason in the next presence of the controller that is heard."""
    async with asyncio.timeout(40):
        async for event in watcher.events():
            if isinstance(event, Packet):
                return decode_controller_status(event.payload).reason
    return "nothing"


def device_on(broker):
    return FakeDevice(PahoLink(broker.url, "pi5-1", keepalive_s=5), "pi5-1")


async def test_a_deployment_ends_although_controller_and_database_are_killed_in_the_middle(start, server, mosquitto):
    controller = start()
    async with device_on(mosquitto) as device:
        await device.join()
        await until(lambda: knows(controller))
        made = controller.post("/api/deploy", device_id="pi5-1", model_name=MODELS[0]).json()
        command = await device.next_command("deploy")
        controller.kill()
        await device.ack(command.id, "downloading", 1)
        controller.start()
        await until(lambda: controller.phase(made["deployment_id"]) == "downloading")

        async with PahoLink(mosquitto.url, "a-watcher") as watcher:
            await watcher.subscribe(CONTROLLER_STATUS)
            assert await said(watcher) is None
            server.kill()
            assert await said(watcher) == "lost"
        await until(lambda: role(controller) == "standby")
        assert controller.get("/readyz").json()["code"] == "database_unreachable"
        answer = controller.post("/api/deploy", device_id="pi5-1", model_name=MODELS[1])
        await device.ack(command.id, "succeeded", 9)
        server.start()
        await until(lambda: controller.get("/readyz").status_code == 200)
        await until(lambda: controller.phase(made["deployment_id"]) == "succeeded")
        events = controller.get("/api/logs").json()["logs"]

    assert (answer.status_code, bool(answer.json()["hint"])) == (503, True)
    assert [event["type"] for event in events].count("device") == 1
    assert len(controller.get("/api/deployments").json()["deployments"]) == 1
    assert "Traceback" not in controller.log


async def test_a_rollout_goes_on_while_the_active_one_is_killed_loses_its_session_and_stops(
    start, server, mosquitto, tmp_path, front
):
    first = start("--artifact-base-url", front.url)
    second = start("--artifact-base-url", front.url, ready="/livez")
    front.controllers = [first, second]
    assert (role(first), role(second)) == ("active", "standby")
    wishes = FleetWishes(
        devices=DEVICES,
        mix="raspberry_pi_5",
        seed=3,
        broker=mosquitto.url,
        folder=tmp_path / "fleet",
        interval_s=1.0,
        rate=5.0,
        speed=0.0,
        poll_s=1.0,
        record=True,
        processes=1,
    )
    fleet = [await launch(program, tmp_path) for program in programs(wishes)]
    try:
        await until(lambda: introduced(first) == DEVICES)
        body = {
            "model_name": MODELS[0],
            "device_types": ["raspberry_pi_5"],
            "waves": ["1", "50%", "100%"],
            "soak_s": 1.0,
        }
        made = first.post("/api/rollouts", **body).json()
        rollout = f"/api/rollouts/{made['rollout_id']}"
        await until(lambda: first.get(rollout).json()["rollout"]["wave"] == 2)
        said = second.get("/api/devices")
        first.kill()
        killed_at = time.monotonic()
        await until(lambda: role(second) == "active")
        await until(second.is_ready)
        print(f"the other one was ready {time.monotonic() - killed_at:.1f} s after the kill")  # noqa: T201 - a figure, not a promise
        first.ready = "/livez"
        first.start()
        assert role(first) == "standby"
        before = epoch(second)
        server.ask("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")
        await until(lambda: {epoch(first), epoch(second)} - {before, None})
        active, other = (first, second) if epoch(first) else (second, first)
        assert active.stop() == 0
        await until(other.is_ready)
        await until(lambda: other.get(rollout).json()["rollout"]["phase"] == "succeeded")
        orders = other.get("/api/deployments", limit=100).json()["deployments"]
    finally:
        for child in fleet:
            await child.end(10)
    found = list(audit(tmp_path / "fleet"))

    assert said.status_code == 503
    assert first.url in said.json()["hint"]
    assert len(found) == len(orders) == DEVICES
    assert all(order["phase"] == "succeeded" for order in orders)
    assert [each.model for each in found] == [MODELS[0]] * DEVICES
    assert not any(each.doubled or each.stuck or each.faulty for each in found)
    assert "Traceback" not in first.log + second.log
