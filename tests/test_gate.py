"""The gate says one thing in one way, and never lets a model over its budget unforced."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import InvalidError
from controller.gate import Alternative, Elsewhere, Measurement, Variant, decide
from controller.predict.prediction import Prediction

SMALL = Alternative(model="small", energy_mj=12, high_mj=15, top1_pct=97.0)
LARGE = Alternative(model="large", energy_mj=95, high_mj=99, top1_pct=98.0)


def predicted(energy_mj=80.0, low_mj=64.0, high_mj=100.0, support="high", **rest):
    return Prediction(
        energy_mj=energy_mj, low_mj=low_mj, high_mj=high_mj, support=support, predictor="raspberry_pi_4@1", **rest
    )


def ask(prediction=None, *, budget_mj=None, **rest):
    return decide(model="net", device_type="raspberry_pi_4", prediction=prediction, budget_mj=budget_mj, **rest)


UNKNOWN = Prediction(energy_mj=None, low_mj=None, high_mj=None, support="none", reasons=("no board like it",))


@pytest.mark.parametrize(
    ("prediction", "budget_mj", "policy", "expected"),
    [
        (predicted(), None, "strict", (True, "no_budget", "")),
        (None, None, "strict", (True, "no_budget", "")),
        (predicted(), 100.0, "strict", (True, "fits", "")),
        (predicted(), 99.9, "strict", (False, "tight", "over_budget")),
        (predicted(), 99.9, "expected", (True, "tight", "")),
        (predicted(), 80.0, "expected", (True, "tight", "")),
        (predicted(), 79.9, "expected", (False, "over", "over_budget")),
        (predicted(support="proxy"), 90.0, "expected", (True, "tight", "")),
        (predicted(support="low"), 90.0, "expected", (False, "tight", "over_budget")),
        (predicted(support="low"), 100.0, "strict", (True, "fits", "")),
        (UNKNOWN, 1e9, "strict", (False, "unknown", "no_prediction")),
        (None, 1e9, "expected", (False, "unknown", "no_prediction")),
    ],
)
def test_the_gate_decides_by_this_table(prediction, budget_mj, policy, expected):
    answer = ask(prediction, budget_mj=budget_mj, policy=policy)

    assert expected == (answer.allowed, answer.verdict, answer.code)


def test_a_refusal_says_what_it_costs_what_is_allowed_and_what_would_fit():
    answer = ask(predicted(), budget_mj=50.0, fits=(SMALL,))

    assert answer.sentence == (
        "net is predicted to cost 80 mJ per inference on raspberry_pi_4 (up to 100 mJ at 95 %):"
        " 80 mJ is above the budget of 50 mJ; would fit: small (12 mJ)"
    )


def test_a_refusal_without_alternatives_says_that_nothing_would_fit():
    assert ask(predicted(), budget_mj=1.0).sentence.endswith("; no model in the catalogue would fit")


def test_what_would_not_fit_and_the_model_itself_are_not_offered():
    itself = Alternative(model="net", energy_mj=1, high_mj=2)

    assert ask(predicted(), budget_mj=50.0, fits=(LARGE, itself, SMALL)).would_fit == (SMALL,)


def test_what_is_allowed_needs_no_alternatives():
    answer = ask(predicted(), budget_mj=200.0, fits=(SMALL,))

    assert answer.would_fit == ()
    assert answer.sentence == answer.reason


def test_an_unknown_board_is_told_how_to_measure():
    answer = ask(UNKNOWN, budget_mj=50.0, device_id="bbb-1", fits=(SMALL,))

    assert answer.sentence == (
        "nothing is known about the energy of net on raspberry_pi_4 (no board like it), so the budget of 50 mJ cannot"
        " be checked; measure first: edgewatt devices measure bbb-1 net"
    )


@pytest.mark.parametrize(("source", "verb"), [("ina3221", "was measured at"), ("simulated", "ran at")])
def test_a_measurement_on_the_device_beats_a_prediction_and_names_its_source(source, verb):
    answer = ask(predicted(), budget_mj=50.0, measurement=Measurement(energy_mj=40.0, source=source))

    assert (answer.allowed, answer.basis, answer.source) == (True, "measurement", source)
    assert f"net {verb} 40 mJ per inference on this device (source: {source})" in answer.reason


def test_a_measurement_over_budget_refuses_what_a_prediction_would_have_let_through():
    answer = ask(predicted(), budget_mj=120.0, measurement=Measurement(energy_mj=130.0, source="pmic"))

    assert (answer.allowed, answer.code) == (False, "over_budget")


def test_force_needs_a_reason_and_the_reason_is_kept():
    assert not ask(predicted(), budget_mj=50.0, forced_reason="  ").allowed
    answer = ask(predicted(), budget_mj=50.0, forced_reason="harvest week")

    assert (answer.allowed, answer.verdict, answer.code) == (True, "forced", "")
    assert answer.sentence.startswith("forced (harvest week) although net is predicted to cost 80 mJ")


def test_force_changes_nothing_where_it_is_not_needed():
    assert ask(predicted(), budget_mj=200.0, forced_reason="to be sure").verdict == "fits"


@pytest.mark.parametrize("budget_mj", [0.0, -1.0, float("nan"), float("inf"), 1e-300, 1e300])
def test_a_budget_that_is_not_a_positive_number_is_refused(budget_mj):
    with pytest.raises(InvalidError) as caught:
        ask(predicted(), budget_mj=budget_mj)

    assert caught.value.facts["field"] == "budget_mj"


def test_figures_that_differ_never_read_the_same():
    assert "100.04 mJ is above the budget of 100 mJ" in ask(predicted(100.04, 90, 110), budget_mj=100.0).reason


def test_a_caution_is_said_for_a_sibling_board_and_for_far_extrapolation():
    assert "from a sibling board" in ask(predicted(support="proxy"), budget_mj=200.0).reason
    assert "the upper end counts" in ask(predicted(support="low"), budget_mj=200.0).reason


energies = st.floats(min_value=1e-3, max_value=1e6)
supports = st.sampled_from(["high", "proxy", "low"])
policies = st.sampled_from(["strict", "expected"])


@given(energies, st.floats(1.0, 10.0), supports, policies, energies)
def test_nothing_over_budget_is_allowed_unforced(energy_mj, widening, support, policy, budget_mj):
    prediction = predicted(energy_mj, energy_mj / widening, energy_mj * widening, support=support)
    answer = ask(prediction, budget_mj=budget_mj, policy=policy)

    if answer.allowed:
        assert energy_mj <= budget_mj
        assert policy == "expected" or prediction.high_mj <= budget_mj


@given(energies, st.floats(1.0, 10.0), policies, energies, st.floats(1.0, 10.0))
def test_a_larger_budget_never_turns_a_yes_into_a_no(energy_mj, widening, policy, budget_mj, more):
    prediction = predicted(energy_mj, energy_mj / widening, energy_mj * widening)
    tighter = ask(prediction, budget_mj=budget_mj, policy=policy)
    looser = ask(prediction, budget_mj=budget_mj * more, policy=policy)

    assert looser.allowed >= tighter.allowed


@given(energies, st.floats(1.0, 10.0), st.floats(1.0, 10.0), energies)
def test_a_wider_interval_is_never_more_permissive_under_strict(energy_mj, widening, more, budget_mj):
    narrow = ask(predicted(energy_mj, energy_mj / widening, energy_mj * widening), budget_mj=budget_mj)
    wide = ask(predicted(energy_mj, energy_mj / widening, energy_mj * widening * more), budget_mj=budget_mj)

    assert wide.allowed <= narrow.allowed


def test_a_measurement_that_is_not_a_positive_number_is_refused():
    with pytest.raises(InvalidError, match="measurement"):
        ask(predicted(), budget_mj=50.0, measurement=Measurement(energy_mj=0.0, source="pmic"))


def test_a_refusal_tells_the_accuracy_lost_where_the_model_would_fit_and_what_could_be_made():
    offer = Alternative(model="small", energy_mj=12, high_mj=15, top1_pct=70.0, accuracy_loss_points=1.2)
    there = Elsewhere(device_id="pi5-9", device_type="raspberry_pi_5", energy_mj=20, high_mj=30)
    made = Variant(name="m (int8)", energy_mj=30, high_mj=40)
    refused = ask(predicted(), budget_mj=50.0, fits=[offer])
    alone = ask(predicted(), budget_mj=50.0)

    assert replace(refused, elsewhere=(there,), variants=(made,)).sentence.endswith(
        "would fit: small (12 mJ, 1.2 points less accurate); the same model would fit on pi5-9 (20 mJ)"
    )
    assert replace(alone, variants=(made,)).sentence.endswith(
        "no model in the catalogue would fit; made anew would fit: m (int8) (30 mJ)"
    )


def test_nothing_lets_a_model_through_of_which_the_device_runs_no_format():
    verdict = ask(predicted(), budget_mj=None, forced_reason="try", unrunnable="onnx opset 18 > 15 of onnxruntime 1.10")

    assert (verdict.allowed, verdict.code, verdict.verdict) == (False, "no_format", "unrunnable")
    assert verdict.sentence == "no format of net runs on ID: onnx opset 18 > 15 of onnxruntime 1.10"
