"""What binds a deployment besides its energy: a latency budget, conditions and a soak, by every way in."""

import json
from dataclasses import replace

import pytest

from broker.commands import Conditions
from broker.phases import Phase
from controller.cli.exits import Exit
from tests.agent_bench import deploy, running
from tests.artifact_server import serving
from tests.controlling import controller
from tests.dashboard.fake_controller import FakeController
from tests.tiny_models import slow_model, tiny_model

MODEL = "digits_mlp"
WHEN = {"soc_min_pct": 40.0, "charging": True, "temp_max_c": 70.0, "window": "22:00-05:00"}


@pytest.fixture
def server():
    with serving() as artifacts:
        yield artifacts


@pytest.fixture
def fake():
    with FakeController(count=3) as running:
        yield running


async def test_rest_passes_the_terms_to_the_device_and_shows_them(tmp_path):
    terms = {"max_latency_ms": 30, "when": WHEN, "soak_s": 7}
    async with controller(tmp_path) as whole, whole.joined() as device:
        answer = (await whole.deploy(device_id="pi5-1", model_name=MODEL, **terms)).json()
        command = await device.next_command("deploy")
        shown = (await whole.get(f"/api/deployments/{answer['deployment_id']}"))["deployment"]

    assert (command.budget.latency_ms, command.when, command.soak_s) == (30.0, Conditions(**WHEN), 7.0)
    assert (shown["latency_ms"], shown["when"], shown["soak_s"], shown["eta"]) == (30.0, WHEN, 7.0, None)


async def test_without_terms_the_controllers_own_soak_is_in_force(tmp_path):
    async with controller(tmp_path) as whole, whole.joined() as device:
        await whole.deploy(device_id="pi5-1", model_name=MODEL, when={})
        command = await device.next_command("deploy")

    assert (command.budget.latency_ms, command.when, command.soak_s) == (None, None, 0.0)


NONSENSE = [
    ({"max_latency_ms": -3}, "max_latency_ms"),
    ({"max_latency_ms": "fast"}, "max_latency_ms"),
    ({"soak_s": 86_400}, "soak_s"),
    ({"when": {"soc_min_pct": 140}}, "when.soc_min_pct"),
    ({"when": {"soc_min_pct": "40"}}, "when.soc_min_pct"),
    ({"when": {"charging": "yes"}}, "when.charging"),
    ({"when": {"temp_max_c": 900}}, "when.temp_max_c"),
    ({"when": {"window": "at night"}}, "when.window"),
    ({"when": {"soc": 40}}, "when.soc"),
]


@pytest.mark.parametrize("path", ["/api/deploy", "/api/deploy/best"])
async def test_terms_that_make_no_sense_are_refused_by_their_field(tmp_path, path):
    asked = {"device_id": "pi5-1", "model_name": MODEL, "device_ids": ["pi5-1"], "max_energy_mj": 1e6}
    async with controller(tmp_path) as whole, whole.joined():
        answers = [(await whole.post(path, **asked, **terms), field) for terms, field in NONSENSE]
        total = (await whole.get("/api/deployments"))["total"]

    for answer, field in answers:
        assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert total == 0


async def test_a_request_typed_by_hand_keeps_its_terms_when_it_is_completed(tmp_path):
    typed = {"op": "deploy", "model": MODEL, "max_latency_ms": 12, "when": WHEN, "soak_s": 3}
    async with controller(tmp_path) as whole, whole.joined() as device:
        async with whole.hub.link("a-person") as person:
            await person.publish("device/pi5-1/cmd", json.dumps(typed).encode(), qos=1)
        await device.next_command("deploy")
        complete = await device.next_command("deploy")

    assert (complete.budget.latency_ms, complete.when, complete.soak_s) == (12.0, Conditions(**WHEN), 3.0)


async def test_a_request_that_only_the_retained_state_tells_of_keeps_its_terms(tmp_path):
    asked = {"id": "r1", "op": "deploy", "model": MODEL, "max_latency_ms": 12, "when": WHEN, "soak_s": 3}
    async with running(tmp_path / "agent") as bench:
        bench.send(asked)
        await bench.ack("r1", "waiting")
        await bench.until(lambda: bench.state.current_cmd is not None, "a current command")
        told = bench.state.current_cmd
    async with controller(tmp_path) as whole, whole.joined() as device:
        await device.report(current_cmd=told)
        complete = await device.next_command("deploy")

    assert (complete.id, complete.budget.latency_ms, complete.soak_s) == ("r1", 12.0, 3.0)
    assert complete.when == Conditions(**WHEN)


def test_the_command_line_passes_the_terms(edgewatt, fake):
    code, *_ = edgewatt(
        *("deploy", "digits_cnn_s", "--to", "pi5-1", "--yes", "--latency-ms", "30", "--soak", "7"),
        *("--when-soc-min", "40", "--when-charging", "--when-temp-max", "70", "--when-window", "22:00-05:00"),
    )
    bodies = [body for _, path, body in fake.writes if path == "/api/deploy"]

    assert code == Exit.DONE
    assert [body.get("dry_run", False) for body in bodies] == [True, False]
    for body in bodies:
        assert (body["max_latency_ms"], body["when"], body["soak_s"]) == (30.0, WHEN, 7.0)


def test_the_command_line_leaves_out_what_was_not_said(edgewatt, fake):
    edgewatt("deploy", "digits_cnn_s", "--to", "pi5-1", "--yes")

    assert not {"max_latency_ms", "when", "soak_s"} & set(fake.writes[-1][2])


async def test_a_p95_over_the_budget_goes_back_to_the_previous_model_with_both_figures(server, tmp_path):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server, model="good"))
        end = await bench.do(deploy(server, slow_model(), "d2", gen=2, budget={"latency_ms": 1e-6}))

        assert (end.state, end.error.code) == (Phase.ROLLED_BACK, "over_latency")
        assert end.error.msg.startswith("p95 of ")
        assert end.error.msg.endswith(" ms against a budget of 1e-06 ms")
        assert end.result["latency_p95_ms"] > 1e-6
        assert bench.state.active.model == "good"


async def test_a_p95_that_grows_while_it_soaks_takes_the_model_back(server, tmp_path):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server, model="good"))
        bench.send(deploy(server, tiny_model(seed=1), "d2", gen=2, max_latency_ms=5_000, soak_s=0.3))
        await bench.ack("d2", "soaking")
        board = bench.agent.server.session.board
        board.board = replace(board.board, slowdown=1e9)
        end = await bench.ack("d2")

        assert (end.state, end.error.code) == (Phase.ROLLED_BACK, "over_latency")
        assert end.reason.endswith(" ms against a budget of 5000 ms; back to good")
        assert bench.state.active.model == "good"


async def test_a_model_over_both_budgets_is_told_both(server, tmp_path):
    async with running(tmp_path) as bench:
        end = await bench.do(deploy(server, slow_model(), budget={"energy_mj": 1e-6, "latency_ms": 1e-6}))

        assert end.error.code == "over_budget"
        assert " mJ against a budget of 1e-06 mJ; p95 of " in end.error.msg


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"when": {"window": "05:00+02:00-06:00"}}, "bad_window"),
        ({"when": {"soc_min_pct": 101}}, "bad_condition"),
        ({"soak_s": 1e9}, "bad_condition"),
        ({"max_latency_ms": 0}, "bad_budget"),
    ],
)
async def test_a_device_rejects_terms_that_make_no_sense_before_it_asks_or_downloads(server, tmp_path, terms, code):
    async with running(tmp_path) as bench:
        complete = await bench.do(deploy(server, **terms))
        by_name = await bench.do({"id": "r1", "op": "deploy", "model": "m", **terms})

        for end in (complete, by_name):
            assert (end.state, end.error.code, end.attempt) == (Phase.REJECTED, code, 1)
        assert not server.requests
