"""What a person types by hand: every op answers, and what is no command is refused with a sentence."""

import json

import pytest

from broker.commands import OPS, hand_typed_id
from broker.phases import Phase
from tests.agent_bench import QUICK, deploy, running
from tests.artifact_server import serving
from tests.tiny_models import reference, slow_model, tiny_model


@pytest.fixture
def server():
    with serving() as artifacts:
        yield artifacts


async def test_a_bare_word_is_answered_under_the_id_of_its_bytes(tmp_path):
    async with running(tmp_path) as bench:
        bench.send(b"ping")
        end = await bench.ack(hand_typed_id(b"ping"))

        assert bench.states(end.id) == ["accepted", "succeeded"]
        assert end.result["session"] == bench.state.session


@pytest.mark.parametrize("op", ["info", "logs", "help"])
async def test_questions_are_answered_without_a_model(tmp_path, op):
    async with running(tmp_path) as bench:
        end = await bench.do({"id": "q", "op": op})

        assert end.state is Phase.SUCCEEDED
        assert end.result


async def test_help_names_every_op_with_a_sentence(tmp_path):
    async with running(tmp_path) as bench:
        end = await bench.do({"id": "q", "op": "help"})

        assert set(end.result["ops"]) == set(OPS)
        assert all(end.result["ops"].values())


@pytest.mark.parametrize("op", ["start", "stop", "rollback", "undeploy", "infer", "bench", "cancel", "config"])
async def test_what_needs_something_that_is_missing_fails_with_a_sentence(tmp_path, op):
    async with running(tmp_path) as bench:
        end = await bench.do({"id": "q", "op": op})

        assert end.state is Phase.FAILED
        assert end.error.code
        assert " " in end.error.msg


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"{", "malformed"),
        (b"[]", "malformed"),
        (b"fly", "unsupported"),
        (b'{"op":"fly"}', "unsupported"),
        (b'{"op":"deploy","gen":"many"}', "malformed"),
        (b'{"op":"deploy"}', "no_model_named"),
        (b'{"op":"deploy","model":"  "}', "no_model_named"),
        (b'{"op":"ping","id":""}', "bad_id"),
        (b'{"op":"ping","x":"' + b"y" * 70_000 + b'"}', "oversize"),
        (b"\xff\xfe", "malformed"),
        (b'{"op":"deploy","max_energy_mj":NaN}', "malformed"),
        (b'{"op":"infer","input":' + b"[" * 20_000 + b"]" * 20_000 + b"}", "malformed"),
        (b'{"op":"cancel","reason":"' + b"y" * 5_000 + b'"}', "oversize"),
    ],
)
async def test_what_is_no_command_is_rejected_counted_and_harmless(tmp_path, payload, code):
    async with running(tmp_path) as bench:
        bench.send(payload)
        await bench.until(bench.acks, "an answer")
        answer = bench.acks()[0]

        assert (answer.state, answer.error.code) == (Phase.REJECTED, code)
        assert (answer.attempt, answer.seq) == (0, 0)
        await bench.until(lambda: bench.state.refused == {code: 1}, "the count")
        assert (await bench.do({"id": "after", "op": "ping"})).state is Phase.SUCCEEDED


@pytest.mark.parametrize("depth", [10, 150, 400, 700, 950, 1_100, 3_000])
async def test_input_of_any_depth_is_answered(tmp_path, depth):
    async with running(tmp_path) as bench:
        bench.send(b'{"id":"deep","op":"infer","input":' + b"[" * depth + b"1" + b"]" * depth + b"}")
        await bench.until(bench.acks, "an answer")
        answer = await bench.do({"id": "after", "op": "ping"})

        assert answer.state is Phase.SUCCEEDED


async def test_a_refused_payload_is_answered_under_its_own_id_when_it_has_one(tmp_path):
    async with running(tmp_path) as bench:
        bench.send(b'{"id":"mine","op":"fly"}')
        await bench.until(lambda: bench.acks("mine"), "an answer")

        assert bench.acks("mine")[0].op == "fly"


async def test_a_refused_word_is_answered_with_its_own_name(tmp_path):
    async with running(tmp_path) as bench:
        bench.send(b"deploy")
        await bench.until(bench.acks, "an answer")
        answer = bench.acks()[0]

        assert (answer.op, answer.error.code) == ("deploy", "unsupported")
        assert "deploy needs more than its name" in answer.error.msg


async def test_stop_and_start_hold_over_a_restart(server, tmp_path):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server))
        await bench.do({"id": "s", "op": "stop"})
        assert bench.state.phase == "stopped"
    async with running(tmp_path, hub=bench.hub) as again:
        await again.until(lambda: again.state.phase == "stopped", "the rest")
        assert again.state.active.model == "tiny"
        await again.do({"id": "r", "op": "start"})
        assert again.state.phase == "running"


async def test_rollback_exchanges_the_models_and_raises_the_generation(server, tmp_path):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server, tiny_model(seed=1), "d1", model="one"))
        await bench.do(deploy(server, tiny_model(seed=2), "d2", gen=2, model="two"))
        end = await bench.do({"id": "r", "op": "rollback"})

        assert end.result == {"active": "one"}
        assert (bench.state.active.model, bench.state.previous.model, bench.state.gen) == ("one", "two", 3)


async def test_undeploy_leaves_no_model_and_keeps_the_last_as_previous(server, tmp_path):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server))
        await bench.do({"id": "u", "op": "undeploy"})

        assert bench.state.active is None
        assert bench.state.previous.model == "tiny"
        assert bench.state.phase == "idle"


async def test_infer_answers_a_sample_and_an_input(server, tmp_path):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server))
        sample = await bench.do({"id": "i1", "op": "infer"})
        given = await bench.do({"id": "i2", "op": "infer", "input": [[0, 0, 0, 0]]})
        wrong = await bench.do({"id": "i3", "op": "infer", "input": [1]})
        text = await bench.do({"id": "i4", "op": "infer", "input": "cat"})

        assert sample.result["answer"]["label"] in "abc"
        assert sample.result["energy_source"] == "simulated"
        assert given.result["output"] == [0, 0, 0]
        assert wrong.error.code == text.error.code == "bad_input"
        assert "send 4 numbers" in wrong.error.msg


async def test_bench_measures_the_active_model(server, tmp_path):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server))
        end = await bench.do({"id": "b", "op": "bench", "probe": QUICK})

        assert end.result["inferences"] == 5
        assert end.result["latency_p95_ms"] >= end.result["latency_p50_ms"]
        assert end.result["latency_mean_ms"] > 0
        assert end.result["latency_std_ms"] >= 0
        mean_ms = 1_000 / end.result["throughput_per_s"]
        assert mean_ms == pytest.approx(end.result["latency_mean_ms"], rel=0.01, abs=1e-4)
        assert end.result["rss_mb"] > 10
        assert end.result["energy_source"] == "simulated"
        assert end.result["power_mw"] > 0


async def test_bench_of_an_artifact_leaves_everything_as_it_was(server, tmp_path):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server))
        before = bench.state
        end = await bench.do({**deploy(server, slow_model(), "b"), "op": "bench", "model": "slow"})

        assert end.result["model"] == "slow"
        assert end.result["energy_mj"] > 0
        assert (bench.state.active, bench.state.previous, bench.state.gen) == (
            before.active,
            before.previous,
            before.gen,
        )
        assert len(list((tmp_path / "models" / "sha256").iterdir())) == 1


async def test_a_bench_can_be_cancelled(server, tmp_path):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server))
        bench.send({"id": "b", "op": "bench", "probe": {"inferences": 10**9}})
        await bench.ack("b", "accepted")
        await bench.do({"id": "c", "op": "cancel", "target": "b"})

        assert (await bench.ack("b")).state is Phase.CANCELLED


async def test_config_changes_the_pace_and_is_kept(tmp_path):
    async with running(tmp_path) as bench:
        end = await bench.do({"id": "c", "op": "config", "config": {"interval_s": 0.2, "rate": 7}})
        assert end.result == {"interval_s": 0.2, "rate": 7}
        await bench.until(lambda: bench.said("status")[-1]["interval_s"] == 0.2, "the status")
    async with running(tmp_path) as again:
        assert again.agent.server.rate == 7


@pytest.mark.parametrize("config", [{"rate": 0}, {"rate": "fast"}, {"speed": 1}, {"interval_s": True}, {"rate": 1e9}])
async def test_a_config_that_makes_no_sense_changes_nothing(tmp_path, config):
    async with running(tmp_path) as bench:
        end = await bench.do({"id": "c", "op": "config", "config": config})

        assert (end.state, end.error.code) == (Phase.FAILED, "bad_config")
        assert bench.agent.server.rate == 50


async def test_restart_ends_this_process_cleanly(tmp_path):
    async with running(tmp_path) as bench:
        bench.send({"id": "r", "op": "restart"})
        await bench.ack("r")
        await bench.until(bench.agent.stop.is_set, "the stop")

        assert bench.agent.restart.is_set()
    assert bench.said("status")[-1]["online"] is False


async def test_a_request_by_name_waits_and_ends_without_a_controller(tmp_path):
    async with running(tmp_path, no_controller_s=0.1) as bench:
        bench.send({"id": "n", "op": "deploy", "model": "mobilenet"})
        end = await bench.ack("n")

        assert bench.states("n") == ["accepted", "waiting", "failed"]
        assert bench.acks("n")[1].reason == "controller"
        assert (end.error.code, end.error.retryable) == ("no_controller", True)
        assert bench.state.gen == 0


async def test_a_request_by_name_waits_on_while_a_controller_is_in_sight(tmp_path):
    wanted = {"id": "n", "op": "deploy", "model": "mobilenet"}
    async with (
        running(tmp_path / "a", no_controller_s=0.1) as bench,
        running(tmp_path / "b", no_controller_s=0.3) as alone,
    ):
        bench.controller(online=True)
        bench.send(wanted)
        await bench.ack("n", "waiting")
        alone.send(wanted)
        await alone.ack("n", "failed")
        still = bench.states("n")
        bench.controller(online=False)
        end = await bench.ack("n")

        assert still == ["accepted", "waiting"]
        assert (end.state, end.error.code) == (Phase.FAILED, "no_controller")


async def test_a_controller_is_out_of_sight_when_the_broker_is(tmp_path):
    async with running(tmp_path, no_controller_s=0.1) as bench:
        bench.controller(online=True)
        await bench.until(lambda: bench.agent.fleetmate.in_sight, "a controller")
        bench.link.lose()
        await bench.until(lambda: not bench.agent.fleetmate.in_sight, "its loss")


async def test_a_request_by_name_does_not_wait_for_ever_for_a_controller_that_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr("edge_agent.desk.ANSWER_S", 0.2)
    async with running(tmp_path, no_controller_s=0.1) as bench:
        bench.controller(online=True)
        bench.send({"id": "n", "op": "deploy", "model": "mobilenet"})

        assert (await bench.ack("n")).error.code == "no_controller"


async def test_a_request_by_name_is_completed_under_its_id(server, tmp_path):
    async with running(tmp_path) as bench:
        bench.send({"op": "deploy", "model": "tiny"})
        command_id = hand_typed_id(json.dumps({"op": "deploy", "model": "tiny"}).encode())
        await bench.ack(command_id, "waiting")
        end = await bench.do(deploy(server, command_id=command_id))

        assert end.state is Phase.SUCCEEDED
        assert "waiting" in bench.states(command_id)
        assert bench.state.active.deployment_id == command_id


async def test_a_request_that_the_controller_refuses_is_rejected_with_its_reason(tmp_path):
    async with running(tmp_path) as bench:
        bench.send({"id": "n", "op": "deploy", "model": "big", "max_energy_mj": 1})
        await bench.ack("n", "waiting")
        bench.send({"id": "c", "op": "cancel", "target": "n", "code": "over_budget", "reason": "9 mJ; would fit: a"})
        end = await bench.ack("n")

        assert (end.state, end.error.code, end.error.msg) == (Phase.REJECTED, "over_budget", "9 mJ; would fit: a")


async def test_a_cancel_under_the_requests_own_id_is_understood(tmp_path):
    async with running(tmp_path) as bench:
        bench.send({"id": "n", "op": "deploy", "model": "big"})
        await bench.ack("n", "waiting")
        bench.send({"id": "n", "op": "cancel", "code": "unknown_model", "reason": "no model 'big'"})

        assert (await bench.ack("n")).error.code == "unknown_model"


async def test_an_artifact_that_was_promised_wrong_is_benched_as_failed(server, tmp_path):
    lie = reference(tiny_model(), server.base_url, sha256="1" * 64)
    async with running(tmp_path) as bench:
        end = await bench.do({**deploy(server, tiny_model(), "b", artifact=lie), "op": "bench"})

        assert (end.state, end.error.code) == (Phase.FAILED, "hash_mismatch")
