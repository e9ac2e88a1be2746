"""The command itself on a real broker: it joins, restarts on request, ends on SIGTERM, and is small when idle."""

import asyncio
import os
import signal
import subprocess
import sys

import psutil
import pytest

from broker.phases import Phase
from edge_agent import checkup
from edge_agent.settings import Settings
from tests.agent_bench import deploy
from tests.artifact_server import serving
from tests.fleet.agent_process import ROOT, watching
from tests.fleet.forks import begun
from tests.linear_tflite import linear, saved, tiny_texts
from tests.tiny_models import tiny_model

IDLE_MB = 45
"""The budget of an idle agent's memory."""


@pytest.fixture
def launch(broker, tmp_path):
    """Begin `python -m edge_agent run`, as a command where its start or its size counts; end it after the test."""
    started = []

    def start(*flags, begin=begun):
        argv = [sys.executable, "-m", "edge_agent", "run", "--id", "pi5-1", "--broker", broker.url]
        argv += ["--data", str(tmp_path / "data"), "--device-type", "raspberry_pi_5", "--interval", "0.3", *flags]
        started.append(begin(argv, tmp_path / "agent.log"))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait(20)


def as_a_command(argv, log):
    with log.open("ab") as output:
        return subprocess.Popen(argv, stderr=output, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})


async def test_the_command_joins_deploys_restarts_and_leaves(broker, launch):
    with serving() as server:
        async with watching(broker.url) as watcher:
            asked = await checkup.broker(Settings(id="pi5-1", broker=broker.url))
            assert str(asked) == f"broker        {broker.url}, lets us in"

            process = launch("--simulate", "--tag", "line=A", "--rate", "20", "--seed", "3", begin=as_a_command)
            await watcher.until(lambda: watcher.online("pi5-1"), "the birth")
            await watcher.command("pi5-1", deploy(server, soak_s=0.2))
            assert (await watcher.ended("pi5-1", "d1")).state is Phase.SUCCEEDED
            session = watcher.state("pi5-1").session

            await watcher.command("pi5-1", {"id": "r", "op": "restart"})
            await watcher.ended("pi5-1", "r")
            await watcher.until(lambda: watcher.state("pi5-1").session != session, "another session")
            await watcher.until(lambda: watcher.online("pi5-1"), "online again")
            assert process.poll() is None
            assert watcher.state("pi5-1").active.model == "tiny"

            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, 20) == 0
            await watcher.until(lambda: not watcher.online("pi5-1"), "the goodbye")


def tflite_model(folder, seed):
    data, weights = linear(seed=seed)
    return saved(folder / "model.tflite", data, tiny_texts(weights)).read_bytes()


async def test_both_formats_follow_each_other_are_rolled_back_and_survive_a_restart(broker, launch, tmp_path):
    tflite, other = (tflite_model(tmp_path, seed) for seed in (5, 6))
    with serving() as server:
        async with watching(broker.url) as watcher:

            async def ends(command):
                await watcher.command("pi5-1", command)
                return await watcher.ended("pi5-1", command["id"])

            def running():
                active = watcher.state("pi5-1").active
                return active.model, active.runtime

            process = launch("--rate", "20")
            await watcher.until(lambda: watcher.online("pi5-1"), "the birth")
            await ends(deploy(server, command_id="d1", model="a"))
            second = await ends(deploy(server, tflite, "d2", gen=2, form="tflite", model="b"))
            assert (second.state, second.result["provider"], second.result["threads"]) == (Phase.SUCCEEDED, "cpu", 1)
            assert second.result["golden_difference"] < 1e-5
            await watcher.until(lambda: running() == ("b", "litert"), "the TFLite model")

            await ends({"id": "back", "op": "rollback"})
            await watcher.until(lambda: running() == ("a", "onnxruntime"), "the ONNX model")
            await ends({"id": "forth", "op": "rollback"})
            await watcher.until(lambda: running() == ("b", "litert"), "the TFLite model again")

            soaking = deploy(server, other, "d3", gen=11, form="tflite", model="c", soak_s=2)
            await watcher.command("pi5-1", soaking)
            await watcher.until(lambda: Phase.SOAKING in [a.state for a in watcher.acks("pi5-1")], "soaking")
            process.kill()
            process.wait(20)
            launch("--rate", "20")
            again = await watcher.ended("pi5-1", "d3", 60)
            assert (again.state, again.attempt) == (Phase.SUCCEEDED, 2)
            answered = await ends({"id": "ask", "op": "infer", "input": [0, 0, 0, 0]})
            assert answered.result["output"] == [0, 0, 0]
            await ends(deploy(server, tiny_model(seed=9), "d4", gen=12, model="d"))
            damaged = await ends(deploy(server, tflite[:200], "d5", gen=13, form="tflite"))
            assert (damaged.state, damaged.error.code) == (Phase.FAILED, "load_failed")
            await watcher.until(lambda: running() == ("d", "onnxruntime"), "the model before")


async def test_an_agent_that_is_killed_is_said_to_be_lost(broker, launch):
    async with watching(broker.url) as watcher:
        process = launch()
        await watcher.until(lambda: watcher.online("pi5-1"), "the birth")
        process.kill()

        await watcher.until(lambda: not watcher.online("pi5-1"), "the Will")


async def test_a_second_agent_on_the_same_folder_is_refused_with_a_sentence(broker, launch, tmp_path):
    async with watching(broker.url) as watcher:
        launch()
        await watcher.until(lambda: watcher.online("pi5-1"), "the birth")
        second = launch()

        assert await asyncio.to_thread(second.wait, 20) == 1

    assert f"another agent runs on {tmp_path / 'data'}" in (tmp_path / "agent.log").read_text()


async def test_an_idle_agent_is_small(broker, launch):
    async with watching(broker.url) as watcher:
        process = launch(begin=as_a_command)
        await watcher.until(lambda: watcher.online("pi5-1"), "the birth")
        await watcher.until(lambda: any(p.topic.endswith("telemetry") for p in watcher.heard), "telemetry")

        assert psutil.Process(process.pid).memory_info().rss / 1e6 < IDLE_MB
