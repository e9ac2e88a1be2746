"""An error in any state of a deployment ends it, with the right model active and no half file."""

import errno
import hashlib
import json
import os

import pytest

from broker.errors import ArtifactError, RuntimeUnavailableError
from broker.phases import DEVICE_STEPS, Phase
from tests.agent_bench import deploy, running
from tests.artifact_server import serving
from tests.tiny_models import tiny_model

GOOD, NEW = tiny_model(seed=1), tiny_model(seed=2)
BEGUN = [step for step in DEVICE_STEPS if step not in (Phase.ACCEPTED, Phase.ROLLING_BACK)]
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
BROKEN = OSError(errno.EIO, os.strerror(errno.EIO))
ERRORS = {
    "full": (FULL, "disk_full"),
    "broken": (BROKEN, "storage_failed"),
    "artifact": (ArtifactError("the file has a fault", code="load_failed"), "load_failed"),
    "runtime": (RuntimeUnavailableError("no runtime today"), "no_runtime"),
    "bug": (ZeroDivisionError("division by zero"), "internal"),
}


@pytest.fixture
def server():
    with serving() as artifacts:
        yield artifacts


class Trouble:
    """Raises `error` at the write of a journal that says `phase`, or right after it; `times` often."""

    def __init__(self, journal, command_id, phase, error, *, side="before", times=1):
        self.rename, self.left = journal._rename, times
        self.command_id, self.phase, self.error, self.side = command_id, phase, error, side
        journal._rename = self

    def __call__(self, source, target):
        due = target.stem == self.command_id and json.loads(source.read_bytes())["phase"] == self.phase
        hit = due and self.left > 0
        self.left -= hit
        if hit and self.side == "before":
            raise self.error
        self.rename(source, target)
        if hit:
            raise self.error


def check_files(folder, *files):
    wanted = {hashlib.sha256(data).hexdigest() for data in files}
    assert {path.name for path in (folder / "models" / "sha256").iterdir()} == wanted
    assert not list((folder / "models" / "parts").iterdir())


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("kind", ERRORS)
async def test_an_error_in_any_step_ends_the_deployment_and_the_good_model_stays(server, tmp_path, kind, side):
    error, code = ERRORS[kind]
    async with running(tmp_path, poll_s=0.01, keep_mb=0.0) as bench:
        await bench.do(deploy(server, GOOD, "d0", model="good"))
        for gen, step in enumerate((*BEGUN, Phase.SUCCEEDED), start=2):
            hot = {"when": {"temp_max_c": 1}} if step is Phase.WAITING else {}
            Trouble(bench.agent.desk.journal, f"d{gen}", step, error, side=side)
            end = await bench.do(deploy(server, NEW, f"d{gen}", gen=gen, model="new", soak_s=0.01, **hot))
            await bench.until(lambda: bench.agent.lane.turn.locked() is False, "the end of the work")

            where = f"{kind} {side} {step}"
            assert end.state in (Phase.FAILED, Phase.REJECTED, Phase.ROLLED_BACK), where
            assert end.error.code == code, where
            assert bench.state.active.deployment_id == "d0", where
            assert bench.agent.server.held.model.model == "good", where
            check_files(tmp_path, GOOD)


@pytest.mark.parametrize("step", ["rolling_back", "rolled_back"])
@pytest.mark.parametrize("kind", ["full", "broken"])
async def test_a_disk_that_fails_on_the_way_back_delays_it_and_keeps_the_first_reason(server, tmp_path, kind, step):
    async with running(tmp_path, poll_s=0.01, keep_mb=0.0) as bench:
        await bench.do(deploy(server, GOOD, "d0", model="good"))
        trouble = Trouble(bench.agent.desk.journal, "d1", step, ERRORS[kind][0], times=3)
        end = await bench.do(deploy(server, NEW, "d1", gen=2, budget={"energy_mj": 1e-6}))
        await bench.until(lambda: bench.agent.lane.turn.locked() is False, "the end of the work")

        assert (end.state, end.error.code, trouble.left) == (Phase.ROLLED_BACK, "over_budget", 0)
        assert bench.state.active.model == "good"
        check_files(tmp_path, GOOD)


@pytest.mark.parametrize("end_of", ["cancelled", "superseded"])
async def test_a_disk_that_fails_when_it_is_ended_from_outside_delays_that(server, tmp_path, end_of):
    async with running(tmp_path, poll_s=0.01) as bench:
        trouble = Trouble(bench.agent.desk.journal, "d1", end_of, FULL, times=3)
        bench.send(deploy(server, NEW, "d1", when={"temp_max_c": 1}))
        await bench.ack("d1", "waiting")
        newer = deploy(server, GOOD, "d2", gen=2)
        bench.send({"id": "c1", "op": "cancel", "target": "d1"} if end_of == "cancelled" else newer)
        end = await bench.ack("d1")

        assert (end.state, trouble.left) == (Phase(end_of), 0)


@pytest.mark.parametrize("op", ["ping", "stop", "bench"])
async def test_a_disk_that_fails_at_the_end_of_any_command_delays_its_answer(server, tmp_path, op):
    async with running(tmp_path, poll_s=0.01) as bench:
        await bench.do(deploy(server, GOOD, "d0"))
        trouble = Trouble(bench.agent.desk.journal, "x", "succeeded", FULL, times=3)
        end = await bench.do({"id": "x", "op": op, "probe": {"warmup": 0, "inferences": 3}})

        assert (end.state, trouble.left) == (Phase.SUCCEEDED, 0)


async def test_a_full_disk_at_a_start_delays_what_was_open_and_not_the_model(server, tmp_path):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server, GOOD, "d0", model="good"))
        bench.send(deploy(server, NEW, "d1", gen=2, when={"temp_max_c": 1}))
        await bench.ack("d1", "waiting")
    async with running(tmp_path, poll_s=0.01, started=False) as again:
        trouble = Trouble(again.agent.desk.journal, "d1", "accepted", FULL, times=3)
        await again.until(lambda: "device/pi5-1/state" in again.hub.retained, "a state")
        runs = again.agent.server.held.model.model
        await again.ack("d1", "waiting")

        assert runs == "good"
        assert trouble.left == 0


async def test_a_command_that_meets_a_bug_is_refused_and_the_agent_lives(tmp_path):
    async with running(tmp_path) as bench:
        Trouble(bench.agent.desk.journal, "x", "accepted", ZeroDivisionError("division by zero"))
        bench.send({"id": "x", "op": "ping"})
        await bench.until(lambda: bench.acks("x"), "an answer")
        after = await bench.do({"id": "y", "op": "ping"})

        assert (bench.acks("x")[0].state, bench.acks("x")[0].error.code) == (Phase.REJECTED, "internal")
        assert bench.acks("x")[0].error.msg == "ZeroDivisionError: division by zero (the agent's log says where)"
        assert after.state is Phase.SUCCEEDED


async def test_a_runtime_that_fails_on_the_way_back_is_an_alarm_and_no_model_runs(server, tmp_path, monkeypatch):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server, GOOD, "d0", model="good"))
        bench.send(deploy(server, NEW, "d1", gen=2, soak_s=30))
        await bench.ack("d1", "soaking")
        monkeypatch.setattr("edge_agent.runtimes.onnx.OnnxRuntime.load", no_runtime)
        await bench.do({"id": "c1", "op": "cancel", "target": "d1"})
        end = await bench.ack("d1")

        assert (end.state, end.error.code) == (Phase.ROLLBACK_FAILED, "cancelled")
        assert "does not run either: no runtime today" in end.error.msg
        assert bench.state.active is None
        assert not bench.agent.server.active


def no_runtime(_runtime, _path):
    raise ERRORS["runtime"][0]
