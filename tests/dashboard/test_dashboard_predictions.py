"""The Predictions page: the map and its table, what is picked, what has no figure, and how good the predictor is."""

import pytest

from dashboard import frontier, inputs, trust
from tests.dashboard import fake_advice, fake_controller
from tests.dashboard.conftest import Page

TRUST = "How good is the predictor"

pytestmark = pytest.mark.usefixtures("fake")


def model(name, **more):
    known = {"name": name, "top1_pct": 70.0, "energy_mj": 10.0, "low_mj": 8.0, "high_mj": 13.0, "on_frontier": True}
    known |= {"dominated_by": [], "in_store": True, "energy_source": "predicted", "latency_ms": None}
    return known | more


def test_the_frontier_says_how_many_are_worth_a_thought():
    text = Page("predictions", board="raspberry_pi_5").text

    assert "3 models of 3 that no other one beats" in text
    assert "its accuracy was never measured" in text


def test_a_budget_names_the_most_accurate_that_fits():
    page = Page("predictions", board="raspberry_pi_4", energy_mj="50")

    assert "the most accurate within 50 mJ is digits_cnn_s" in page.text
    assert "over" in page.text


def test_picking_a_model_lights_its_row_and_offers_to_deploy_it():
    page = Page("predictions", board="raspberry_pi_4", pick="digits_cnn_s")

    assert "ew-picked" in page.markup
    assert 'href="deploy?model=digits_cnn_s"' in page.markup
    assert "no other model is better on every count" in page.text


def test_deploying_what_was_picked_keeps_the_budget():
    page = Page("predictions", board="raspberry_pi_4", pick="digits_cnn_s", energy_mj="50")

    assert 'href="deploy?model=digits_cnn_s&amp;energy_mj=50"' in page.markup


def test_a_board_below_support_has_no_number_only_why():
    page = Page("predictions", board="beaglebone_black")

    assert "No prediction for beaglebone_black" in page.text
    assert "measure it first" in page.text
    assert "mJ per inference" not in page.text


def test_a_store_without_models_says_what_to_do(fake):
    fake.models = []

    assert "edgewatt models add FILE" in Page("predictions").text


def test_accuracies_of_different_questions_are_on_different_maps(fake):
    fake.models[0]["labels"] = 1_000

    page = Page("predictions", board="raspberry_pi_5")

    assert "2 models of 2" in page.text


def test_how_good_the_predictor_is_comes_from_training_and_from_the_fleet():
    text = Page("predictions", view=TRUST).text

    assert "MLPerf Inference v1.0-v3.0" in text
    assert "7.2" in text
    assert "below" in text
    assert "Costs more than it did" in text
    assert "edgewatt devices measure" in text


def test_without_any_measurement_there_is_no_error_only_the_way_to_one(fake):
    fake.booked = 1
    assert "No meter has measured anything yet" in Page("predictions", view=TRUST).text

    fake.booked = 0
    assert "Nothing to compare yet" in Page("predictions", view=TRUST).anew().text


def test_a_controller_without_a_ledger_is_no_error(monkeypatch):
    left = [route for route in fake_controller.ROUTES if route[2] is not fake_advice.ledger]
    monkeypatch.setattr(fake_controller, "ROUTES", left)

    assert "There is no ledger" in Page("predictions", view=TRUST).text


@pytest.mark.parametrize("view", ["Which model", TRUST])
def test_without_a_controller_both_halves_say_what_to_do(monkeypatch, free_port, view):
    monkeypatch.setenv("EDGEWATT_CONTROLLER_URL", f"http://127.0.0.1:{free_port}")

    text = Page("predictions", view=view).text

    assert "cannot be reached" in text
    assert "appear here" in text


def test_a_dominated_model_names_who_beats_it_and_how_sure_that_is():
    assert frontier.beaten(model("a", dominated_by=["b", "c"], surely=True)) == "beaten by b and c"
    assert frontier.beaten(model("a", dominated_by=["b"], surely=False)) == "probably beaten by b"


def test_no_member_of_the_frontier_within_the_budget_is_said():
    assert "none of them fits 5 mJ" in frontier.headline([model("a")], 5.0)


def test_a_board_that_training_says_little_of_has_gaps_and_no_error():
    assert trust.boards({"boards": {"new": {}}}) == [
        {"board": "new", "runtime": "", "rows": None, "architectures": None}
        | dict.fromkeys(("mape_pct", "family_mape_pct", "coverage_pct", "width_pct"))
    ]
    assert trust.errors(trust.boards({"boards": {"new": {}}})) == []


def test_the_models_compared_are_searched_and_sorted_by_the_address():
    found = Page("predictions", board="raspberry_pi_5", seek="cnn", rank="most accurate").text
    none = Page("predictions", board="raspberry_pi_5", seek="nothing like it").text

    assert found.index("digits_cnn_l") < found.index("digits_cnn_s")
    assert "digits_mlp" not in found
    assert "No model matches" in none


def test_a_file_of_models_runs_nothing_in_a_spreadsheet():
    told = inputs._file(("name", "energy_mj"), [{"name": "=cmd()", "energy_mj": 1.5}])

    assert told.decode().splitlines() == ["name,energy_mj", "'=cmd(),1.5"]
