"""A model that is made while a real agent waits for it, on real brokers, whatever happens to the controller."""

import asyncio
import os
import signal

import psutil
import pytest

from broker.phases import Phase
from controller.cli.readiness import wait_until
from tests.fleet.agent_process import AgentProcess, watching
from tests.fleet.controllers import RunningController
from tests.fleet.making_controller import MODEL

WAITS = ("-m", "tests.fleet.making_controller", "waits")


@pytest.fixture
def controller(broker, tmp_path):
    """A controller whose worker makes nothing before it is let go."""
    running = RunningController(broker.url, tmp_path / "controller", launcher=WAITS)
    yield running
    running.kill()


@pytest.fixture
def agent(broker, tmp_path):
    """A real agent."""
    process = AgentProcess("pi5-1", broker.url, tmp_path / "pi5-1")
    process.launch()
    yield process
    process.stop()


async def until(condition):
    """Wait for a controller in another process; the watcher's loop runs meanwhile."""
    assert await asyncio.to_thread(wait_until, condition, within_s=30)


def is_making(controller):
    jobs = controller.get("/api/jobs").json()["jobs"]
    return bool(jobs) and jobs[0]["step"] == "waiting to be let go"


def workers_in(controller):
    """Return the processes that work in a controller's folder."""
    found, folder = [], str(controller.folder)
    for process in psutil.process_iter(["cmdline"]):
        words = " ".join(process.info["cmdline"] or ())
        if "fake_worker" in words and folder in words:
            found.append(process.pid)
    return found


async def test_a_typed_request_waits_through_the_death_of_the_controller_and_ends_well(broker, controller, agent):
    async with watching(broker.url) as watcher:
        await watcher.until(lambda: watcher.online(agent.id), "an agent")
        await until(lambda: controller.get(f"/api/devices/{agent.id}").status_code == 200)
        await watcher.command(agent.id, {"op": "deploy", "id": "t1", "model": MODEL})
        await until(lambda: is_making(controller))
        controller.kill()
        await until(lambda: not workers_in(controller))
        controller.start(WAITS)
        await until(lambda: is_making(controller))
        (controller.folder / "go").touch()
        end = await watcher.ended(agent.id, "t1")
        states = [ack.state for ack in watcher.acks(agent.id) if ack.id == "t1"]

    assert end.state is Phase.SUCCEEDED
    assert states.index(Phase.WAITING) < states.index(Phase.DOWNLOADING)
    assert controller.get("/api/jobs").json()["jobs"][0]["attempt"] == 2


async def test_a_worker_that_is_killed_fails_the_request_with_a_reason_on_the_wire(broker, controller, agent):
    async with watching(broker.url) as watcher:
        await watcher.until(lambda: watcher.online(agent.id), "an agent")
        await until(lambda: controller.get(f"/api/devices/{agent.id}").status_code == 200)
        await watcher.command(agent.id, {"op": "deploy", "id": "t1", "model": MODEL})
        await until(lambda: is_making(controller))
        for pid in workers_in(controller):
            os.kill(pid, signal.SIGKILL)
        end = await watcher.ended(agent.id, "t1")

    assert end.state is Phase.REJECTED
    assert end.error.code == "worker_died"
    assert "was killed by SIGKILL" in end.error.msg
