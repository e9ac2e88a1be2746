"""After a reboot every command goes on or ends, and the right model runs."""

import threading

import pytest

from broker.phases import Phase
from edge_agent.journal import Journal
from edge_agent.modelstore import ModelStore
from tests.agent_bench import deploy, running
from tests.artifact_server import serving
from tests.test_journal import entry
from tests.tiny_models import slow_model, tiny_model


@pytest.fixture
def server():
    with serving() as artifacts:
        yield artifacts


async def test_a_clean_stop_in_the_middle_goes_on_after_the_restart(server, tmp_path):
    server.hold = threading.Event()
    async with running(tmp_path) as bench:
        bench.send(deploy(server, slow_model()))
        await bench.until(server.asked.is_set, "a request")
        server.hold.set()
        bench.agent.lane.close()
    async with running(tmp_path, hub=bench.hub) as again:
        end = await again.ack("d1")

        assert (end.state, end.attempt) == (Phase.SUCCEEDED, 2)


@pytest.mark.parametrize("phase", [Phase.LOADING, Phase.PROBING])
async def test_the_third_crash_in_a_risky_step_rolls_back(tmp_path, phase):
    Journal(tmp_path / "journal").put(entry("d1", phase=phase, crashes=2, attempt=3, seq=9))
    async with running(tmp_path) as bench:
        end = await bench.ack("d1")

        assert (end.state, end.error.code, end.attempt) == (Phase.ROLLED_BACK, "crash_loop", 4)
        assert str(phase) in end.error.msg


async def test_a_crash_after_the_swap_is_taken_back_to_the_model_before(server, tmp_path):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server, tiny_model(seed=1), "d1", model="good"))
        await bench.do(deploy(server, tiny_model(seed=2), "d2", gen=2, model="bad"))
    journal = Journal(tmp_path / "journal")
    done = journal.get("d2")
    journal.put(
        entry("d2", phase=Phase.PROBING, crashes=2, attempt=1, seq=done.seq + 1, command=done.command, ts=done.ts)
    )
    async with running(tmp_path, hub=bench.hub) as again:
        await again.until(lambda: any(a.error and a.error.code == "crash_loop" for a in again.acks("d2")), "the end")
        await again.until(lambda: again.state.active.model == "good", "the good model")


@pytest.mark.parametrize(
    "phase", [Phase.ACCEPTED, Phase.DOWNLOADING, Phase.VERIFYING, Phase.STAGED, Phase.LOADING, Phase.PROBING]
)
async def test_an_interrupted_step_is_tried_again_with_a_higher_attempt(server, tmp_path, phase):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server))
    journal = Journal(tmp_path / "journal")
    done = journal.get("d1")
    journal.put(entry("d1", phase=phase, seq=done.seq, command=done.command, fingerprint=done.fingerprint, ts=done.ts))
    async with running(tmp_path) as again:
        end = await again.ack("d1")

        assert (end.state, end.attempt) == (Phase.SUCCEEDED, 2)


async def test_an_interrupted_question_ends_as_failed(tmp_path):
    Journal(tmp_path / "journal").put(entry("q", op="bench"))
    async with running(tmp_path) as bench:
        end = await bench.ack("q")

        assert (end.state, end.error.code) == (Phase.FAILED, "interrupted")


async def test_an_interrupted_rollback_is_finished(tmp_path):
    Journal(tmp_path / "journal").put(entry("d1", phase=Phase.ROLLING_BACK))
    async with running(tmp_path) as bench:
        assert (await bench.ack("d1")).state is Phase.ROLLED_BACK


async def test_an_active_model_that_does_not_load_any_more_gives_way_to_the_previous(server, tmp_path):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server, tiny_model(seed=1), "d1", model="good"))
        await bench.do(deploy(server, tiny_model(seed=2), "d2", gen=2, model="bad"))
    store = ModelStore(tmp_path / "models")
    store.path(store.slots.active.model.artifact_sha256, "onnx").write_bytes(b"rust")
    async with running(tmp_path) as again:
        assert again.state.active.model == "good"
        assert again.agent.server.active


async def test_a_model_that_does_not_load_again_while_it_soaks_is_not_said_to_have_succeeded(server, tmp_path):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server, tiny_model(seed=1), "d1", model="good"))
        bench.send(deploy(server, tiny_model(seed=2), "d2", gen=2, model="bad", soak_s=30))
        await bench.ack("d2", "soaking")
    store = ModelStore(tmp_path / "models")
    store.path(store.slots.active.model.artifact_sha256, "onnx").write_bytes(b"rust")
    async with running(tmp_path, hub=bench.hub) as again:
        end = await again.ack("d2")

        assert (end.state, end.error.code) == (Phase.ROLLED_BACK, "load_failed")
        assert end.reason == "it did not load again after a restart; good stays active"
        assert again.state.active.model == "good"
        assert again.agent.server.active


async def test_a_damaged_journal_file_is_counted_in_the_state(tmp_path):
    (tmp_path / "journal").mkdir(parents=True)
    (tmp_path / "journal" / "x.json").write_bytes(b"{")
    async with running(tmp_path) as bench:
        assert bench.state.refused == {"journal_damaged": 1}


async def test_damaged_slots_are_set_aside(tmp_path):
    (tmp_path / "models").mkdir(parents=True)
    (tmp_path / "models" / "slots.json").write_bytes(b"\0")
    async with running(tmp_path) as bench:
        assert bench.state.active is None
    assert (tmp_path / "models" / "slots.damaged").exists()


async def test_rev_and_session_rise_over_restarts(tmp_path):
    async with running(tmp_path) as bench:
        first = bench.state
    async with running(tmp_path, hub=bench.hub) as again:
        await again.until(lambda: again.state.session != first.session, "the new session")

        assert again.state.rev > first.rev
