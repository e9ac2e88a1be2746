"""Advice on the command line: tables for people, JSON for programs, exit codes that tell a refusal apart."""

import json

import pytest

from controller.cli.exits import Exit
from tests.dashboard import fake_controller, fake_fleet


@pytest.fixture
def fake(monkeypatch):
    def predict(_fake, body, **_):
        return 200, {"data": [fake_fleet.predicted(each["model_name"], each["device_type"]) for each in body]}

    more = ("POST", "/api/predict-energy", predict)
    monkeypatch.setattr(fake_controller, "ROUTES", [*fake_controller.ROUTES, more])
    with fake_controller.FakeController(count=5) as running:
        yield running


def deployed(fake):
    return [body for _, path, body in fake.writes if path == "/api/deploy/best" and not body.get("dry_run")]


def test_the_frontier_of_a_board_is_a_table_with_what_is_apart(edgewatt):
    code, out, _ = edgewatt("pareto", "--board", "raspberry_pi_5")

    assert code == Exit.DONE
    assert "digits_cnn_l" in out
    assert "mobilenet_v1_untrained" in out
    assert "its accuracy was never measured" in out


def test_of_the_networks_that_could_be_made_only_the_unbeaten_are_shown(edgewatt):
    brief, whole = (edgewatt("pareto", "--board", "raspberry_pi_5", *more)[1] for more in (["--listed"], []))

    assert "digits_cnn_l" in brief
    assert "mobilenet_v1_untrained" in brief
    assert set(brief.split()) <= set(whole.split())


def test_the_frontier_of_every_board_of_the_fleet_is_one_document(edgewatt):
    _, out, _ = edgewatt("pareto", "--json")

    assert {each["device_type"] for each in json.loads(out)} >= {"raspberry_pi_4", "beaglebone_black"}


def test_a_board_without_figures_says_measure_first(edgewatt):
    assert "measure it first" in edgewatt("pareto", "--board", "beaglebone_black")[1]


def test_an_explanation_takes_a_device_for_its_board(edgewatt):
    _, out, _ = edgewatt("explain", "digits_cnn_l", "--on", "pi4-1")

    assert "raspberry_pi_4" in out
    assert "digits_cnn_l (int8)" in out
    assert "about 2.1 points" in out


def test_the_best_per_device_is_only_shown_in_a_dry_run(edgewatt, fake):
    code, out, _ = edgewatt("deploy", "--best", "--energy-mj", "60", "--to", "line=A", "--dry-run")

    assert code == Exit.DONE
    assert "digits_cnn_s" in out
    assert deployed(fake) == []


def test_the_best_per_device_may_differ_and_is_deployed_after_a_yes(edgewatt, fake):
    words = ("deploy", "--best", "--energy-mj", "90", "--min-top1", "97", "--to", "pi5-1", "--to", "pi4-1")
    code, out, _ = edgewatt(*words, "--yes", "--json")

    assert code == Exit.DONE
    assert {each["device_id"]: each["model"] for each in json.loads(out)} == {
        "pi5-1": "digits_cnn_l",
        "pi4-1": "digits_cnn_s",
    }
    assert deployed(fake)[0]["device_ids"] == ["pi5-1", "pi4-1"]


def test_when_a_device_gets_no_model_nothing_is_deployed_and_it_says_why(edgewatt, fake):
    code, _, err = edgewatt("deploy", "--best", "--energy-mj", "1", "--to", "pi5-1", "--yes")

    assert code == Exit.REFUSED
    assert "the cheapest takes up to" in err
    assert deployed(fake) == []


@pytest.mark.parametrize(
    "words",
    [
        ("deploy", "--to", "pi5-1"),
        ("deploy", "digits_cnn_s", "--best", "--energy-mj", "9", "--to", "pi5-1"),
        ("deploy", "--best", "--to", "pi5-1"),
    ],
)
def test_a_model_and_best_exclude_each_other_and_best_needs_a_budget(edgewatt, words):
    assert edgewatt(*words)[0] == Exit.USAGE


def test_a_plan_ends_with_the_commands_that_deploy_it(edgewatt):
    code, out, err = edgewatt("plan", "--energy-wh-per-day", "20", "--to", "line=A")

    assert code == Exit.DONE
    assert "edgewatt deploy digits_cnn_s --to jetson-1 --to pi5-1" in out
    assert "a plan" in err


def test_a_plan_that_cannot_be_is_a_refusal_that_says_by_how_much(edgewatt):
    code, _, err = edgewatt("plan", "--energy-wh-per-day", "1")

    assert code == Exit.REFUSED
    assert "0.08 Wh short" in err


def test_a_prediction_with_a_rate_tells_what_it_means_for_the_battery(edgewatt):
    code, out, _ = edgewatt(
        "predict", "digits_cnn_s", "--on", "pi4-1", "--rate-hz", "2", "--battery-wh", "30", "--json"
    )

    assert code == Exit.DONE
    assert json.loads(out)["batteries"][0]["battery_hours"] == pytest.approx(10)
