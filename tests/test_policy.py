"""What the owner of a device allows there beats any command, and is said before and after it is sent."""

import json
from dataclasses import replace

import pytest

from broker.commands import ArtifactRef, Budget, Command, PredictedEnergy
from broker.errors import RefusedError
from broker.local_policy import in_words
from broker.messages import LocalPolicy, PowerState
from broker.phases import Phase
from edge_agent.policy import Rules
from edge_agent.program import main
from edge_agent.settings import load
from edge_agent.simulation.board import SimulatedBoard
from tests.agent_bench import deploy, running
from tests.artifact_server import serving
from tests.tiny_models import slow_model, tiny_model

REF = ArtifactRef(url="http://models.example/x", sha256="ab" * 32, size=3)
DEPLOY = Command(op="deploy", model="net", artifact=REF, predict=PredictedEnergy(energy_mj=52.4))


@pytest.fixture
def server():
    with serving() as artifacts:
        yield artifacts


def refusal(policy, command=DEPLOY):
    with pytest.raises(RefusedError) as caught:
        Rules(base=policy).check(command)
    assert caught.value.code == "local_policy"
    return caught.value.message


def test_each_rule_is_named_with_its_figures():
    assert refusal(LocalPolicy(locked=True)) == "this device is locked: its model stays as it is"
    assert (
        refusal(LocalPolicy(max_energy_mj=40))
        == "predicted to cost 52.4 mJ, and this device allows 40 mJ per inference"
    )
    assert (
        refusal(LocalPolicy(only_hosts=("10.0.0.1", "store")))
        == "this device takes files from 10.0.0.1, store only, not from 'models.example'"
    )
    assert refusal(LocalPolicy(signed=True)).startswith("this device takes signed files only, and has no key")


def test_without_rules_everything_is_taken():
    Rules().check(DEPLOY)

    assert in_words(Rules().policy()) == "none: takes what it is sent"
    assert not Rules().changed()


def test_a_limit_that_is_kept_is_no_obstacle():
    policy = LocalPolicy(max_energy_mj=60, only_hosts=("models.example",), signed=True)

    Rules(base=policy, can_verify=True).check(DEPLOY)


@pytest.mark.parametrize("op", ["ping", "info", "start", "stop", "infer", "config", "cancel", "logs", "help"])
def test_a_locked_device_still_answers(op):
    Rules(base=LocalPolicy(locked=True)).check(Command(op=op))


@pytest.mark.parametrize("op", ["deploy", "rollback", "undeploy"])
def test_a_locked_device_keeps_its_model(op):
    assert "locked" in refusal(LocalPolicy(locked=True), Command(op=op, model="net"))


def test_a_locked_device_benchmarks_what_it_has_and_nothing_else():
    assert "locked" in refusal(LocalPolicy(locked=True), Command(op="bench", artifact=REF))
    Rules(base=LocalPolicy(locked=True)).check(Command(op="bench"))


def test_budgets_are_bound_to_the_devices_own_limits():
    rules = Rules(base=LocalPolicy(max_energy_mj=40, max_latency_ms=30))

    assert rules.bound(DEPLOY).budget == Budget(energy_mj=40, latency_ms=30)
    tighter = replace(DEPLOY, budget=Budget(energy_mj=10, latency_ms=90))
    assert rules.bound(tighter).budget == Budget(energy_mj=10, latency_ms=30)
    assert rules.binds("over_latency", tighter)
    assert not rules.binds("over_budget", tighter)
    assert not rules.binds("golden_mismatch", tighter)


def test_the_file_only_makes_the_settings_stricter(tmp_path):
    file = tmp_path / "policy.json"
    base = LocalPolicy(max_energy_mj=40, only_hosts=("a", "b"))
    rules = Rules(base=base, file=file)

    assert rules.policy() == base
    file.write_text(json.dumps({"max_energy_mj": 90, "max_latency_ms": 5, "only_hosts": ["b", "c"]}))
    assert rules.policy() == LocalPolicy(max_energy_mj=40, max_latency_ms=5, only_hosts=("b",))
    file.write_text(json.dumps({"only_hosts": ["c"]}))
    assert rules.policy().locked


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"lockd":true}', '{"locked":"yes"}', "\0"])
def test_a_file_that_cannot_be_understood_locks_the_device_and_says_so(tmp_path, text):
    (tmp_path / "policy.json").write_text(text)
    rules = Rules(file=tmp_path / "policy.json")

    with pytest.raises(RefusedError, match=r"^this device is locked \(policy\.json cannot be read: "):
        rules.check(DEPLOY)
    assert in_words(rules.policy(), rules.fault).startswith("locked: takes no deployment (policy.json cannot be read: ")


async def test_a_locked_device_rejects_on_the_wire_and_runs_on(server, tmp_path):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server, command_id="d0", model="good"))
        (tmp_path / "policy.json").write_text('{"locked":true}')
        complete = await bench.do(deploy(server, slow_model(), "d1", gen=2))
        by_name = await bench.do({"id": "r1", "op": "deploy", "model": "m"})
        rollback = await bench.do({"id": "b1", "op": "rollback"})
        answers = [await bench.do({"id": op, "op": op}) for op in ("ping", "stop", "start")]
        (tmp_path / "policy.json").unlink()
        again = await bench.do(deploy(server, slow_model(), "d2", gen=3))

    for end in (complete, by_name, rollback):
        assert (end.state, end.error.code) == (Phase.REJECTED, "local_policy")
        assert end.error.msg.startswith("this device is locked: its model stays as it is (the device's owner says so")
    assert {end.state for end in answers} == {Phase.SUCCEEDED}
    assert again.state is Phase.SUCCEEDED


async def test_the_info_says_the_policy_and_says_it_again_when_it_has_changed(tmp_path):
    async with running(tmp_path, max_energy_mj=40.0) as bench:
        first = bench.said("info")[-1]
        (tmp_path / "policy.json").write_text('{"locked":true}')
        await bench.until(lambda: bench.said("info")[-1]["policy"]["locked"], "the lock")
        (tmp_path / "policy.json").unlink()
        await bench.until(lambda: not bench.said("info")[-1]["policy"]["locked"], "the end of the lock")

    assert first["policy"] == {"locked": False, "max_energy_mj": 40.0, "signed": False}


async def test_a_foreign_host_is_refused_before_anything_is_asked_there(server, tmp_path):
    async with running(tmp_path, only_hosts=("10.9.9.9",)) as bench:
        end = await bench.do(deploy(server))

    assert (end.state, end.error.code) == (Phase.REJECTED, "local_policy")
    assert "takes files from 10.9.9.9 only" in end.error.msg
    assert not server.requests


async def test_a_redirect_away_from_the_only_hosts_is_refused(server, tmp_path):
    server.faults = [{"status": 302, "headers": {"Location": "http://elsewhere.example/x"}}]
    async with running(tmp_path, only_hosts=("127.0.0.1",), allow_hosts=("elsewhere.example",)) as bench:
        end = await bench.do(deploy(server))

    assert (end.state, end.error.code) == (Phase.REJECTED, "host_not_allowed")


def test_an_empty_variable_is_no_rule():
    told = load({}, {"EDGEWATT_ONLY_HOSTS": "", "EDGEWATT_LOCKED": "", "EDGEWATT_ID": "pi5-1"})

    assert Rules.of(told).policy() == LocalPolicy()
    assert load({}, {"EDGEWATT_ONLY_HOSTS": "a,b", "EDGEWATT_ID": "pi5-1"}).only_hosts == ("a", "b")


OWN = [({"max_energy_mj": 1e-6}, "over_budget", "mJ"), ({"max_latency_ms": 1e-6}, "over_latency", "ms")]


@pytest.mark.parametrize(("limit", "code", "unit"), OWN)
async def test_what_breaks_the_devices_own_limit_goes_back_and_says_whose_it_was(server, tmp_path, limit, code, unit):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server, model="good"))
    async with running(tmp_path, **limit) as bench:
        end = await bench.do(deploy(server, tiny_model(seed=1), "d2", gen=2, max_energy_mj=1e6, max_latency_ms=1e5))

        assert (end.state, end.error.code) == (Phase.ROLLED_BACK, code)
        assert end.error.msg.endswith(f" against a budget of 1e-06 {unit}, the device's own limit")
        assert bench.state.active.model == "good"


async def test_what_was_locked_while_it_waited_is_not_begun(server, tmp_path, monkeypatch):
    heat = {"temp_c": 90.0}
    monkeypatch.setattr(SimulatedBoard, "power", property(lambda _: PowerState(**heat)))
    async with running(tmp_path) as bench:
        bench.send(deploy(server, when={"temp_max_c": 50}))
        await bench.ack("d1", "waiting")
        (tmp_path / "policy.json").write_text('{"locked":true}')
        heat["temp_c"] = 20.0
        end = await bench.ack("d1")

    assert (end.state, end.error.code) == (Phase.REJECTED, "local_policy")
    assert not server.requests


def test_check_says_the_policy(tmp_path, capsys):
    with pytest.raises(SystemExit):
        where = ("--data", str(tmp_path), "--broker", "mqtt://127.0.0.1:9")
        main(["check", *where, "--max-energy-mj", "40", "--only-host", "store", "--locked"])
    out = capsys.readouterr().out

    said = "policy        locked: takes no deployment; at most 40 mJ per inference; files from store only\n"
    assert said in out
