"""A device with a duty cycle: what keeps it awake, what it says before it sleeps, and how it goes on."""

import asyncio
import signal
import subprocess
import sys

import pytest

from broker.commands import Command
from broker.memory import MemoryHub
from broker.phases import Phase
from edge_agent.duty import is_busy, sleep
from edge_agent.journal import Entry
from tests.agent_bench import DEVICE, deploy, running
from tests.artifact_server import serving
from tests.fleet.agent_process import ROOT, watching

T0 = 1_800_000_000.0


class Clock:
    """Goes on by `step_s` each time somebody looks."""

    def __init__(self, step_s, at=T0):
        self.at, self.step_s = at, step_s

    def __call__(self):
        self.at += self.step_s
        return self.at


def entry(phase, op="deploy"):
    return Entry(id="d1", op=op, phase=phase, created_at=T0, ts=T0, fingerprint="f", command=Command(op=op))


@pytest.mark.parametrize("phase", [Phase.ACCEPTED, Phase.DOWNLOADING, Phase.PROBING, Phase.SOAKING])
def test_work_keeps_a_device_awake(phase):
    assert is_busy([entry(phase)])


def test_what_only_waits_does_not_keep_a_device_awake():
    assert not is_busy([])
    assert not is_busy([entry(Phase.WAITING)])
    assert is_busy([entry(Phase.WAITING), entry(Phase.ACCEPTED, op="bench")])


async def test_a_suspended_board_wakes_by_the_clock_on_the_wall():
    assert await sleep(600, asyncio.Event(), wall=Clock(120), steady=Clock(0), turn_s=0)


async def test_a_clock_that_was_set_back_does_not_prolong_the_sleep():
    assert await sleep(600, asyncio.Event(), wall=Clock(-3_600), steady=Clock(120), turn_s=0)


async def test_an_end_that_is_asked_for_ends_the_sleep():
    leaving = asyncio.Event()
    leaving.set()

    assert not await sleep(600, leaving)


async def asleep(bench):
    await bench.until(lambda: bench.said("status") and bench.said("status")[-1].get("reason") == "sleep", "the sleep")
    return bench.said("status")[-1]


async def test_before_it_sleeps_it_says_until_when_and_does_not_take_it_back(tmp_path):
    async with running(tmp_path, awake_s=0.1, sleep_s=600, part_changes={"now": lambda: T0}) as bench:
        status = await asleep(bench)

        assert (status["online"], status["wake_at"]) == (False, T0 + 600)
        assert bench.hub.retained[f"device/{DEVICE}/status"].retain

    assert bench.said("status")[-1] == status


async def test_it_finishes_what_it_works_on_before_it_sleeps(tmp_path):
    with serving() as server:
        async with running(tmp_path, awake_s=0.1) as bench:
            bench.send(deploy(server, soak_s=0.4))
            await asleep(bench)

            assert bench.acks("d1")[-1].state is Phase.SUCCEEDED
            assert bench.state.active.model == "tiny"


async def test_what_waits_goes_on_after_the_next_waking(tmp_path):
    hub = MemoryHub()
    with serving() as server:
        async with running(tmp_path, hub=hub, awake_s=0.1) as bench:
            bench.send({"id": "d1", "op": "deploy", "model": "tiny"})
            session = (await asleep(bench))["session"]
            assert bench.acks("d1")[-1].state is Phase.WAITING

        async with running(tmp_path, hub=hub) as bench:
            await bench.until(lambda: bench.state.session != session, "another life")
            bench.send(deploy(server))
            assert (await bench.ack("d1")).state is Phase.SUCCEEDED


async def test_what_it_should_become_while_it_sleeps_it_becomes_when_it_wakes(tmp_path):
    hub = MemoryHub()
    with serving() as server:
        async with running(tmp_path, hub=hub, awake_s=0.1) as bench:
            await asleep(bench)
        bench.desire({"gen": 3, "deploy": deploy(server, gen=3)})
        async with running(tmp_path, hub=hub, awake_s=0.1) as bench:
            assert (await bench.ack("d1")).state is Phase.SUCCEEDED
            await asleep(bench)


def launch(broker, folder, *flags):
    argv = [sys.executable, "-m", "edge_agent", "run", "--id", DEVICE, "--broker", broker.url, "--data", str(folder)]
    argv += ["--device-type", "raspberry_pi_5", "--simulate", "--awake-s", "0.3", *flags]
    return subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)


async def test_a_process_sleeps_wakes_as_another_session_and_ends_in_its_sleep(mosquitto, tmp_path):
    def sleeping():
        return [s for s in watcher.statuses(DEVICE) if s.get("reason") == "sleep"]

    async with watching(mosquitto.url) as watcher:
        process = launch(mosquitto, tmp_path, "--sleep-s", "0.2")
        try:
            await watcher.until(lambda: len(sleeping()) > 1, "two sleeps")
            assert len({s["session"] for s in sleeping()}) == len(sleeping())
            assert all(s["wake_at"] > s["ts"] for s in sleeping())
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, 20) == 0
        finally:
            process.kill()
            process.communicate()


async def test_a_board_that_is_switched_off_in_its_sleep_is_told_when_to_start_the_agent_again(mosquitto, tmp_path):
    async with watching(mosquitto.url) as watcher:
        process = launch(mosquitto, tmp_path, "--sleep-s", "600", "--sleep-by", "exit")
        out, _ = await asyncio.to_thread(process.communicate, timeout=20)
        await watcher.until(lambda: watcher.statuses(DEVICE), "a status")

    assert process.returncode == 0
    assert int(out) == round(watcher.statuses(DEVICE)[-1]["wake_at"])
