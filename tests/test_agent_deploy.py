"""A deployment on the device: its steps, its proofs, and every way it can end."""

import asyncio
import hashlib
import threading
from dataclasses import replace
from itertools import pairwise

import pytest

from broker.phases import NEXT, Phase
from edge_agent.files import WRITTEN
from tests.agent_bench import deploy, running
from tests.artifact_server import serving
from tests.tiny_models import reference, slow_model, tiny_model


@pytest.fixture
def server():
    with serving() as artifacts:
        yield artifacts


WHOLE = ["accepted", "downloading", "verifying", "staged", "loading", "probing", "active", "succeeded"]


def contents(folder):
    return sorted(p.name for p in (folder / "models" / "sha256").iterdir())


async def test_a_deployment_goes_through_every_step_and_tells_its_figures(server, tmp_path):
    async with running(tmp_path) as bench:
        end = await bench.do(deploy(server))

        assert bench.states("d1") == WHOLE
        assert end.result["energy_source"] == "simulated"
        assert end.result["energy_mj"] > 0
        assert end.result["inferences"] == 5
        assert end.result["already_present"] is False
        assert bench.state.active.model == "tiny"
        assert bench.state.active.deployment_id == "d1"
        assert bench.state.gen == 1


async def test_a_deployment_asks_the_flash_a_bounded_number_of_times_and_being_live_never(server, tmp_path):
    data = tiny_model()
    async with running(tmp_path, progress_s=2.0) as bench:
        before = replace(WRITTEN)
        await bench.do(deploy(server, data))
        after = replace(WRITTEN)
        said = len(bench.said("telemetry"))
        await bench.until(lambda: len(bench.said("telemetry")) > said + 3, "telemetry")

    assert after.syncs - before.syncs <= 30
    assert after.bytes - before.bytes - len(data) <= 10_000
    assert after.blocks - before.blocks <= 20 + len(data) // 4_096
    assert after == WRITTEN


async def test_every_move_is_one_of_the_contract_and_rises(server, tmp_path):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server, soak_s=0.05))

        acks = bench.acks("d1")
        pairs = [(a.attempt, a.seq) for a in acks]
        assert pairs == sorted(set(pairs))
        for before, after in pairwise(acks):
            assert after.state == before.state or after.state in NEXT[before.state]
        assert "soaking" in bench.states("d1")


async def test_a_second_deployment_keeps_the_first_as_previous_and_drops_the_oldest(server, tmp_path):
    models = [tiny_model(seed=n) for n in range(3)]
    async with running(tmp_path, keep_mb=0.0) as bench:
        for n, data in enumerate(models):
            await bench.do(deploy(server, data, f"d{n}", gen=n + 1, model=f"m{n}"))

        assert (bench.state.active.model, bench.state.previous.model) == ("m2", "m1")
        kept = {hashlib.sha256(data).hexdigest() for data in models[1:]}
        assert set(contents(tmp_path)) == kept


async def test_a_model_that_is_here_already_is_not_downloaded_again(server, tmp_path):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server))
        asked = len(server.requests)
        end = await bench.do(deploy(server, command_id="d2", gen=2))

        assert end.result["already_present"] is True
        assert len(server.requests) == asked


async def test_over_budget_goes_back_to_the_previous_model_with_figures(server, tmp_path):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server, model="good"))
        end = await bench.do(deploy(server, slow_model(), "d2", gen=2, model="hungry", budget={"energy_mj": 0.001}))

        assert bench.states("d2")[-2:] == ["rolling_back", "rolled_back"]
        assert end.error.code == "over_budget"
        assert end.error.msg.startswith("simulated ")
        assert end.error.msg.endswith(" mJ against a budget of 0.001 mJ")
        assert end.result["energy_mj"] > 0.001
        assert bench.state.active.model == "good"


async def test_a_model_that_grows_hungry_while_it_soaks_is_taken_back(server, tmp_path):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server, model="good"))
        first = await bench.do(deploy(server, slow_model(), "d2", gen=2))
        budget = first.result["energy_mj"] * 1.5
        bench.send(deploy(server, slow_model(seed=1), "d3", gen=3, budget={"energy_mj": budget}, soak_s=0.5))
        await bench.ack("d3", "soaking")
        bench.agent.installer.prover.meter.read_mw = lambda: 1e6
        end = await bench.ack("d3")

        assert end.state is Phase.ROLLED_BACK
        assert bench.state.active.deployment_id == "d2"


async def test_a_wrong_golden_answer_is_rolled_back(server, tmp_path):
    async with running(tmp_path) as bench:
        end = await bench.do(deploy(server, tiny_model(wrong_golden=True)))

        assert end.state is Phase.ROLLED_BACK
        assert end.error.code == "golden_mismatch"
        assert bench.state.active is None
        assert bench.state.phase == "idle"


@pytest.mark.parametrize("data", [b"no model at all" * 10, tiny_model()[:-70]], ids=["text", "truncated"])
async def test_what_does_not_load_fails_and_leaves_the_old_model_and_no_file(server, tmp_path, data):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server, model="good"))
        end = await bench.do(deploy(server, data, "d2", gen=2))

        assert end.state is Phase.FAILED
        assert end.error.code == "load_failed"
        assert bench.state.active.model == "good"
        assert contents(tmp_path) == [hashlib.sha256(tiny_model()).hexdigest()]


async def test_a_wrong_hash_fails_and_leaves_nothing(server, tmp_path):
    data = tiny_model()
    lie = reference(data, server.base_url, sha256="0" * 64)
    async with running(tmp_path) as bench:
        end = await bench.do(deploy(server, data, artifact=lie))

        assert (end.state, end.error.code) == (Phase.FAILED, "hash_mismatch")
        assert contents(tmp_path) == []
        assert not list((tmp_path / "models" / "parts").iterdir())


async def test_a_server_that_corrupts_the_file_fails_it_and_leaves_nothing(server, tmp_path):
    data = tiny_model()
    server.faults = [{"data": data[:-1] + bytes([data[-1] ^ 1])}]
    async with running(tmp_path) as bench:
        end = await bench.do(deploy(server, data))
        again = await bench.do(deploy(server, data, "d2", gen=2))

        assert (end.state, end.error.code) == (Phase.FAILED, "hash_mismatch")
        assert again.state is Phase.SUCCEEDED


async def test_a_part_that_was_damaged_is_downloaded_once_more(server, tmp_path):
    data = tiny_model()
    parts = tmp_path / "models" / "parts"
    parts.mkdir(parents=True)
    (parts / f"{hashlib.sha256(data).hexdigest()}.part").write_bytes(b"\0" * 100)
    async with running(tmp_path) as bench:
        end = await bench.do(deploy(server, data))

        assert end.state is Phase.SUCCEEDED
        assert bench.states("d1").count("downloading") == 2


async def test_a_full_disk_fails_with_a_sentence(server, tmp_path):
    part = tmp_path / "models" / "parts" / f"{hashlib.sha256(tiny_model()).hexdigest()}.part"
    async with running(tmp_path) as bench:
        part.symlink_to("/dev/full")
        end = await bench.do(deploy(server))

        assert (end.state, end.error.code) == (Phase.FAILED, "disk_full")
        assert end.error.msg.startswith("No space left")
        assert not part.is_symlink()


async def test_a_foreign_host_is_rejected(server, tmp_path, monkeypatch):
    monkeypatch.setattr("edge_agent.content.HOST_PATIENCE_S", 0.1)
    command = deploy(server)
    command["artifact"]["url"] = "http://models.example/x"
    async with running(tmp_path) as bench:
        end = await bench.do(command)

        assert (end.state, end.error.code) == (Phase.REJECTED, "host_not_allowed")
        assert "models.example" in end.error.msg


async def test_an_unknown_format_is_rejected_with_every_reason(server, tmp_path):
    command = deploy(server)
    command["artifact"]["format"] = "tflite"
    async with running(tmp_path) as bench:
        end = await bench.do(command)

        assert (end.state, end.error.code) == (Phase.REJECTED, "no_runtime")
        assert "onnxruntime: reads onnx, not tflite" in end.error.msg


async def test_a_running_download_is_superseded_by_a_newer_generation(server, tmp_path):
    server.hold = threading.Event()
    async with running(tmp_path) as bench:
        bench.send(deploy(server, slow_model()))
        await bench.until(server.asked.is_set, "a request")
        bench.send(deploy(server, tiny_model(), "d2", gen=2))
        await bench.ack("d2", "accepted")
        server.hold.set()

        assert (await bench.ack("d1")).state is Phase.SUPERSEDED
        assert (await bench.ack("d2")).state is Phase.SUCCEEDED
        assert bench.state.gen == 2


async def test_a_lower_generation_is_superseded_at_once(server, tmp_path):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server, gen=5))
        end = await bench.do(deploy(server, command_id="d2", gen=4))

        assert end.state is Phase.SUPERSEDED
        assert bench.states("d2") == ["superseded"]


async def test_a_cancelled_download_ends_and_the_old_model_stays(server, tmp_path):
    server.hold = threading.Event()
    async with running(tmp_path) as bench:
        bench.send(deploy(server, slow_model()))
        await bench.until(server.asked.is_set, "a request")
        bench.send({"id": "c1", "op": "cancel", "target": "d1", "reason": "changed my mind"})
        await bench.ack("c1")
        server.hold.set()

        end = await bench.ack("d1")
        assert (end.state, end.reason) == (Phase.CANCELLED, "changed my mind")


async def test_a_cancel_while_soaking_goes_back(server, tmp_path):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server, model="good"))
        bench.send(deploy(server, slow_model(), "d2", gen=2, soak_s=30))
        await bench.ack("d2", "soaking")
        await bench.do({"id": "c1", "op": "cancel"})

        assert (await bench.ack("d2")).state is Phase.ROLLED_BACK
        assert bench.state.active.model == "good"


async def test_a_cancel_that_comes_first_ends_the_late_deploy(server, tmp_path):
    async with running(tmp_path) as bench:
        await bench.do({"id": "c1", "op": "cancel", "target": "d1"})
        bench.send(deploy(server))

        assert (await bench.ack("d1")).state is Phase.CANCELLED
        assert not server.requests


async def test_conditions_are_waited_for(server, tmp_path):
    async with running(tmp_path) as bench:
        bench.send(deploy(server, when={"temp_max_c": 1}))
        waiting = await bench.ack("d1", "waiting")
        assert waiting.reason == "temp"
        await bench.do({"id": "c1", "op": "cancel", "target": "d1"})
        end = await bench.do(deploy(server, command_id="d2", gen=2, when={"window": "rubbish"}))

        assert end.error.code == "bad_window"
        always = deploy(server, command_id="d3", gen=3, when={"window": "00:00-23:59:59"})
        assert (await bench.do(always)).state is Phase.SUCCEEDED


async def test_an_expired_command_is_not_begun(server, tmp_path):
    async with running(tmp_path) as bench:
        end = await bench.do(deploy(server, ts=1.0, ttl_s=10))

        assert end.state is Phase.EXPIRED


async def test_the_old_model_serves_without_a_gap_while_the_new_one_comes(server, tmp_path):
    async with running(tmp_path, rate=200.0) as bench:
        await bench.do(deploy(server))
        server.hold = threading.Event()
        bench.agent.server.take()
        bench.send(deploy(server, slow_model(), "d2", gen=2))
        await bench.ack("d2", "downloading")
        await asyncio.sleep(0)
        await bench.until(lambda: bench.agent.server.take().inferences > 0, "serving")
        server.hold.set()

        await bench.ack("d2", "succeeded")
        await bench.until(lambda: bench.agent.server.take().inferences > 0, "serving")


async def test_a_model_that_fails_while_it_runs_is_taken_back(server, tmp_path):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server, model="good"))
        bench.send(deploy(server, slow_model(), "d2", gen=2, soak_s=0.3))
        await bench.ack("d2", "soaking")
        session = bench.agent.server.session
        session.inner._feeds[:] = [{}]
        end = await bench.ack("d2")

        assert (end.state, end.error.code) == (Phase.ROLLED_BACK, "inference_failed")
        assert bench.state.active.model == "good"


async def test_a_model_that_may_stay_fails_without_a_rollback(server, tmp_path):
    async with running(tmp_path) as bench:
        end = await bench.do(deploy(server, budget={"energy_mj": 1e-9}, on_fail="stay"))

        assert (end.state, end.error.code) == (Phase.FAILED, "over_budget")


async def test_a_rollback_to_a_model_that_is_broken_is_said_to_have_failed(server, tmp_path):
    good = hashlib.sha256(tiny_model()).hexdigest()
    async with running(tmp_path) as bench:
        await bench.do(deploy(server, model="good"))
        bench.send(deploy(server, slow_model(), "d2", gen=2, soak_s=30))
        await bench.ack("d2", "soaking")
        (tmp_path / "models" / "sha256" / good / "model.onnx").write_bytes(b"rust")
        await bench.do({"id": "c", "op": "cancel", "target": "d2", "reason": "no"})
        end = await bench.ack("d2")

        assert end.state is Phase.ROLLBACK_FAILED
        assert "does not run either" in end.error.msg


async def test_a_disk_that_is_full_for_a_while_delays_the_end_and_does_not_lose_it(server, tmp_path):
    async with running(tmp_path) as bench:
        journal, refused = bench.agent.desk.journal, []
        rename = journal._rename

        def full_at_first(source, target):
            if target.name == "d1.json" and len(refused) < 3 and b'"accepted"' not in source.read_bytes():
                refused.append(target)
                raise OSError(28, "No space left on device")
            rename(source, target)

        journal._rename = full_at_first
        end = await bench.do(deploy(server))

        assert (end.state, end.error.code) == (Phase.FAILED, "disk_full")
        assert len(refused) == 3


async def test_progress_is_told_with_bytes(server, tmp_path):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server, slow_model(size=700)))

        told = [a.progress.bytes for a in bench.acks("d1") if a.progress and a.state is Phase.DOWNLOADING]
        assert told == sorted(told)
        assert told[-1] > 0
