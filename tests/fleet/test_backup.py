"""A running controller is backed up, destroyed, restored and started again: nothing is lost, and the fleet goes on."""

import asyncio
import shutil

import pytest

from broker.paho import PahoLink
from controller.backups import restoring, taking
from controller.cli.readiness import wait_until
from controller.storage.schema import migrations
from controller.storage.store import Store
from tests.fleet.controllers import RunningController
from tests.fleet.devices import FakeDevice

TABLES = (
    "devices",
    "deployments",
    "events",
    "rollouts",
    "rollout_devices",
    "counters",
    "telemetry",
    "outbox",
    "commands",
)
FIRST, SECOND = "digits_mlp", "digits_cnn_s"


async def until(condition):
    assert await asyncio.to_thread(wait_until, condition, within_s=30)


def rows(database):
    """Every row of the tables that matter, as a store sees them."""
    store = Store(database)
    try:
        return {table: sorted(map(repr, store.connection.execute(f"SELECT * FROM {table}"))) for table in TABLES}
    finally:
        store.close()


def events_of(database):
    store = Store(database)
    try:
        return {row["id"] for row in store.events(limit=10_000)}
    finally:
        store.close()


async def run(device, controller, model, gen=None):
    """Deploy `model` by REST and let the device do it; return the deployment's id and generation."""
    answer = await asyncio.to_thread(controller.post, "/api/deploy", device_id=device.id, model_name=model)
    command = await device.next_command("deploy")
    await device.ack(command.id, "succeeded", 9, gen=command.gen)
    await until(lambda: controller.phase(command.id) == "succeeded")
    assert command.id == answer.json()["deployment_id"]
    assert gen is None or command.gen > gen
    return command.id, command.gen


@pytest.fixture
def controller(mosquitto, tmp_path):
    running = RunningController(mosquitto.url, tmp_path / "controller")
    yield running
    running.kill()


async def test_destroyed_and_restored_nothing_is_lost_and_the_fleet_goes_on(mosquitto, controller, tmp_path):
    folder, backup = tmp_path / "controller", tmp_path / "b.tar"
    devices = [FakeDevice(PahoLink(mosquitto.url, f"pi5-{n}", keepalive_s=5), f"pi5-{n}") for n in range(3)]
    async with devices[0] as first, devices[1] as second, devices[2] as third:
        for device in (first, second, third):
            await device.join()
            await until(lambda device=device: controller.get(f"/api/devices/{device.id}").status_code == 200)
        deployed, _ = await run(first, controller, FIRST)
        rollout = controller.post("/api/rollouts", model_name=FIRST, device_ids=[second.id], waves=["100%"])
        await second.next_command("deploy")

        stop = asyncio.Event()

        async def chatter():
            seq = 0
            while not stop.is_set():
                seq += 1
                await asyncio.gather(*(device.sample(seq) for device in (first, second, third)))
                await asyncio.sleep(0.005)

        said_before = {event["id"] for event in controller.get("/api/logs", limit=1000).json()["logs"]}
        talking = asyncio.create_task(chatter())
        await until(lambda: rows(folder / "controller.db")["telemetry"])
        made = await asyncio.to_thread(taking.take, folder, backup, version="0", at=1.0)
        stop.set()
        await talking
        later, gen = await run(first, controller, SECOND)

        controller.kill()
        destroyed = rows(folder / "controller.db")
        shutil.rmtree(folder)
        restoring.restore(backup, folder, steps=migrations.names, at=2.0)
        restored = rows(folder / "controller.db")
        assert made.manifest.counts == {name: len(restored[name]) for name in made.manifest.counts}
        assert said_before <= events_of(folder / "controller.db")
        for appended in ("events", "telemetry", "rollouts"):
            assert 0 < len(restored[appended]) <= len(destroyed[appended])
        assert set(restored["events"]) <= set(destroyed["events"])
        assert set(restored["telemetry"]) <= set(destroyed["telemetry"])

        controller.start()
        await until(lambda: controller.phase(deployed) == "succeeded")
        assert controller.get("/api/rollouts").json()["rollouts"][0]["id"] == rollout.json()["rollout"]["id"]
        assert controller.get("/api/status").json()["devices"]["total"] == 3
        assert controller.phase(later) is None
        assert any(model["name"] == FIRST for model in controller.get("/api/models/all", limit=1000).json()["models"])
        for device in (first, second, third):
            await device.join()
        await first.report(gen=gen)
        again = await second.next_command("deploy")
        await second.ack(again.id, "succeeded", 9, gen=again.gen)
        await until(lambda: controller.get("/api/rollouts").json()["rollouts"][0]["phase"] == "succeeded")
        await run(first, controller, FIRST, gen=gen)
    assert "Traceback" not in controller.log
