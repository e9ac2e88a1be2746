"""An agent killed at any write of its journal ends the deployment after its restart, and leaves no half file."""

import asyncio
import hashlib
import threading

import pytest

from broker.phases import Phase
from tests.agent_bench import deploy
from tests.artifact_server import serving
from tests.fleet.agent_process import AgentProcess, watching
from tests.tiny_models import tiny_model

GOOD, NEW = tiny_model(seed=1), tiny_model(seed=2)
GOOD_SHA, NEW_SHA = (hashlib.sha256(data).hexdigest() for data in (GOOD, NEW))

WRITES = 9
"""accepted, downloading, progress, verifying, staged, loading, probing, active, succeeded of the second deployment."""

AT_ONCE = {"mosquitto": 4, "amqtt": 9}
"""amqtt takes 5 s to resume a session with unacknowledged messages: more agents wait side by side."""

SIDES = {"mosquitto": ("before", "after"), "amqtt": ("after",)}

FIRST_PROBE, PROBE_AGAIN = 7, 6
"""The write that says `probing`; after a restart the content is here, so there is no progress to write."""


@pytest.fixture
def server():
    with serving() as artifacts:
        yield artifacts


async def first_model(watcher, agent, server):
    agent.launch()
    await watcher.until(lambda: watcher.online(agent.id), f"{agent.id} online")
    await watcher.command(agent.id, deploy(server, GOOD, "d1", gen=1, model="good"))
    await watcher.ended(agent.id, "d1")
    agent.stop()


def check_files(agent):
    models = agent.folder / "models"
    assert {p.name for p in (models / "sha256").iterdir()} == {GOOD_SHA, NEW_SHA}
    for sha, data in ((GOOD_SHA, GOOD), (NEW_SHA, NEW)):
        assert (models / "sha256" / sha / "model.onnx").read_bytes() == data
    left = [p.name for p in agent.folder.rglob("*") if ".part" in p.name or p.suffix == ".tmp"]
    assert left == []


async def killed_and_back(watcher, agent, server, at, side):
    """Deploy a second model, kill the agent at write `at`, start it again, and look at the end."""
    await first_model(watcher, agent, server)
    agent.launch(kill_at=at, side=side)
    await watcher.command(agent.id, deploy(server, NEW, "d2", gen=2, model="new"))
    await agent.died()
    agent.launch()
    if not (agent.folder / "journal" / "d2.json").exists():
        await watcher.command(agent.id, deploy(server, NEW, "d2", gen=2, model="new"))

    end = await watcher.ended(agent.id, "d2")

    where = f"killed {side} write {at}"
    assert end.state is Phase.SUCCEEDED, f"{where}: {end}"
    assert end.attempt == (1 if side == "after" and at == WRITES else end.attempt), where
    await watcher.until(lambda: watcher.state(agent.id).active.model == "new", f"{where}: the new model")
    assert watcher.state(agent.id).previous.model == "good", where
    pairs = [(a.attempt, a.seq) for a in watcher.acks(agent.id) if a.id == "d2" and a.attempt]
    assert pairs == sorted(pairs), where
    agent.stop()
    check_files(agent)


async def test_killed_at_any_write_of_a_deployment_the_agent_still_ends_it(broker, server, tmp_path):
    places = [(at, side) for at in range(1, WRITES + 1) for side in SIDES[broker.kind]]
    gate = asyncio.Semaphore(AT_ONCE[broker.kind])

    async def one(at, side):
        agent = AgentProcess(f"k{at}-{side}", broker.url, tmp_path / f"{at}-{side}")
        async with gate:
            try:
                await killed_and_back(watcher, agent, server, at, side)
            finally:
                agent.stop()

    async with watching(broker.url) as watcher, asyncio.TaskGroup() as group:
        for at, side in places:
            group.create_task(one(at, side))


async def test_three_crashes_while_probing_end_in_a_rollback(broker, server, tmp_path):
    agent = AgentProcess("k-loop", broker.url, tmp_path / "loop")
    async with watching(broker.url) as watcher:
        try:
            await first_model(watcher, agent, server)
            await watcher.command(agent.id, deploy(server, NEW, "d2", gen=2, model="new"))
            for writes in (FIRST_PROBE, PROBE_AGAIN, PROBE_AGAIN):
                agent.launch(kill_at=writes, side="after")
                await agent.died()
            agent.launch()

            end = await watcher.ended(agent.id, "d2")

            assert (end.state, end.error.code) == (Phase.ROLLED_BACK, "crash_loop")
            await watcher.until(lambda: watcher.state(agent.id).active.model == "good", "the good model")
        finally:
            agent.stop()


async def test_a_broker_that_dies_during_a_download_loses_nothing(broker, server, tmp_path):
    agent = AgentProcess("k-net", broker.url, tmp_path / "net")
    server.hold = threading.Event()
    async with watching(broker.url) as watcher:
        try:
            agent.launch()
            await watcher.until(lambda: watcher.online(agent.id), "online")
            await watcher.command(agent.id, deploy(server, NEW, "d2", gen=2, model="new"))
            await watcher.until(server.asked.is_set, "a request")
            broker.kill()
            server.hold.set()
            broker.start()

            end = await watcher.ended(agent.id, "d2", within_s=40)

            assert end.state is Phase.SUCCEEDED
            await watcher.until(lambda: watcher.online(agent.id), "online again")
        finally:
            agent.stop()


async def test_a_clean_stop_says_goodbye(broker, tmp_path):
    agent = AgentProcess("k-bye", broker.url, tmp_path / "bye")
    async with watching(broker.url) as watcher:
        agent.launch()
        await watcher.until(lambda: watcher.online(agent.id), "online")

        assert agent.stop() == 0
        await watcher.until(lambda: not watcher.online(agent.id), "offline")
        assert b'"shutdown"' in [p.payload for p in watcher.heard if p.topic.endswith("/status")][-1]
