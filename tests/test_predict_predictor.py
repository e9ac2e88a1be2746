"""Predictions are sane for every board, say how far to trust them, and are made without heavy imports."""

import json
import shutil
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import ArtifactError
from controller.models.analyze import analyze
from controller.models.shipped import ARTIFACTS, MODELS
from controller.predict import predictor
from controller.predict.features import Features
from controller.predict.predictor import FleetPredictor

PREDICTOR = FleetPredictor.load()
MOBILENET = Features(
    params_m=4.233, gmacs=0.5687, size_mb=16.9, macts_m=5.04, input_res=224, dw_gmacs=0.01739, n_convs=27
)
MEASURED_MOBILENET_MJ = {
    "raspberry_pi_4": 442.0,
    "firefly_rk3588s": 226.1,
}
"""mobilenet-v1-1.0-224, float, from the rows that training used."""


@pytest.fixture(scope="module")
def digits():
    return [analyze(MODELS / f"{name}.onnx").features for name in ("digits_mlp", "digits_cnn_s", "digits_cnn_l")]


@pytest.mark.parametrize(
    ("device_type", "support", "predictor"),
    [
        ("raspberry_pi_4", "high", "raspberry_pi_4@1"),
        ("Raspberry Pi 4", "high", "raspberry_pi_4@1"),
        ("rpi4", "high", "raspberry_pi_4@1"),
        ("raspberry_pi_5", "proxy", "raspberry_pi_5@1"),
        ("rpi-5", "proxy", "raspberry_pi_5@1"),
        ("raspberry_pi_3", "low", "raspberry_pi@1"),
        ("jetson_nano_2gb", "low", "jetson_nano_2gb@1"),
        ("Jetson Nano", "low", "jetson_nano_2gb@1"),
        ("jetson_agx_orin", "high", "jetson_agx_orin@1"),
        ("odroid_n2", "high", "odroid_n2@1"),
        ("firefly_rk3588s", "high", "firefly_rk3588s@1"),
        ("something_else", "low", "unified@1"),
        ("", "low", "unified@1"),
    ],
)
def test_a_device_type_is_answered_by_its_board_with_the_right_caution(device_type, support, predictor):
    said = PREDICTOR.predict(MOBILENET, device_type)

    assert (said.support, said.predictor, said.basis) == (support, predictor, "architecture")
    assert 0 < said.low_mj < said.energy_mj < said.high_mj
    assert said.reasons or support == "high"


@pytest.mark.parametrize("device_type", ["beaglebone_black", "bbb", "x86_64", "generic"])
def test_a_board_nobody_measured_gets_no_figure_but_advice(device_type):
    said = PREDICTOR.predict(MOBILENET, device_type)

    assert (said.energy_mj, said.low_mj, said.high_mj, said.category, said.support) == (None, None, None, None, "none")
    assert "edgewatt devices measure" in said.recommendation


@pytest.mark.parametrize(("board", "measured_mj"), MEASURED_MOBILENET_MJ.items())
def test_a_network_that_was_measured_is_predicted_near_its_measurement(board, measured_mj):
    said = PREDICTOR.predict(MOBILENET, board)

    assert said.energy_mj == pytest.approx(measured_mj, rel=0.1)
    assert said.low_mj < measured_mj < said.high_mj


@pytest.mark.parametrize("device_type", ["raspberry_pi_4", "raspberry_pi_5", "jetson_nano_2gb", "jetson_agx_orin"])
def test_a_larger_network_costs_more_on_every_board(digits, device_type):
    said = PREDICTOR.predict_many([*digits, MOBILENET], device_type)

    energies = [p.energy_mj for p in said]
    assert energies == sorted(energies)
    assert [p.category for p in said] == ["EXCELLENT", "EXCELLENT", "ACCEPTABLE", "HIGH"]


def test_a_network_smaller_than_any_measured_costs_overhead_and_says_so(digits):
    said = PREDICTOR.predict(digits[0], "raspberry_pi_4")

    assert said.support == "low"
    assert "times below the least measured" in said.reasons[0]
    assert 1 < said.energy_mj < said.high_mj < 50


def test_a_network_far_larger_than_any_measured_is_wide_and_says_by_how_much():
    said = PREDICTOR.predict(Features(params_m=300, gmacs=60, size_mb=1_200), "raspberry_pi_4")

    assert said.support == "low"
    assert any("GMACs is 23.5 times above the most measured" in reason for reason in said.reasons)
    assert said.high_mj > 5 * said.energy_mj


def test_parameters_and_macs_alone_give_a_wider_interval():
    whole = PREDICTOR.predict(MOBILENET, "raspberry_pi_4")
    bare = PREDICTOR.predict(Features(params_m=4.233, gmacs=0.5687, size_mb=16.9), "raspberry_pi_4")

    assert bare.support == "low"
    assert bare.high_mj / bare.low_mj > whole.high_mj / whole.low_mj


def test_another_board_is_trusted_less_than_the_measured_one():
    own = PREDICTOR.predict(MOBILENET, "firefly_rk3588s")
    sibling = PREDICTOR.predict(MOBILENET, "raspberry_pi_5")

    assert sibling.energy_mj == own.energy_mj
    assert sibling.low_mj < own.low_mj < own.high_mj < sibling.high_mj
    assert (own.mape_pct is None, sibling.mape_pct is None) == (False, True)


def test_a_latency_measured_on_the_board_answers_instead():
    timed = Features(params_m=4.233, gmacs=0.5687, size_mb=16.9, latency_avg_s=0.075)
    said = PREDICTOR.predict(timed, "raspberry_pi_4")

    assert (said.basis, said.support) == ("latency", "high")
    assert said.energy_mj == pytest.approx(0.075 * 5.85e3, rel=0.1)
    assert said.high_mj / said.low_mj < 1.2


def test_a_throughput_is_a_latency_too():
    timed = Features(params_m=4.233, gmacs=0.5687, size_mb=16.9, throughput_iter_per_s=20)

    assert PREDICTOR.predict(timed, "raspberry_pi_4").basis == "latency"


def test_a_latency_no_board_showed_is_far_out():
    timed = Features(params_m=4.233, gmacs=0.5687, size_mb=16.9, latency_avg_s=30)

    assert PREDICTOR.predict(timed, "raspberry_pi_4").support == "low"


def test_many_are_predicted_as_one_by_one_and_in_order(digits):
    timed = Features(params_m=1, gmacs=0.1, size_mb=4, latency_avg_s=0.02)
    models = [MOBILENET, timed, *digits, Features(params_m=1, gmacs=0.1, size_mb=4)]

    other = FleetPredictor.load()

    for many, model in zip(PREDICTOR.predict_many(models, "raspberry_pi_5"), models, strict=True):
        one = other.predict(model, "raspberry_pi_5")
        assert many.energy_mj == pytest.approx(one.energy_mj)
        assert (many.low_mj, many.high_mj) == pytest.approx((one.low_mj, one.high_mj))
        assert (many.support, many.reasons, many.basis) == (one.support, one.reasons, one.basis)
    assert PREDICTOR.predict_many([], "raspberry_pi_5") == []


def test_what_was_asked_before_is_answered_the_same_beside_what_is_new_and_is_bounded(digits, monkeypatch):
    monkeypatch.setattr(predictor, "MOST_KNOWN", 4)
    ours = FleetPredictor.load()
    first = ours.predict_many(digits, "raspberry_pi_5")
    mixed = ours.predict_many([MOBILENET, *digits], "raspberry_pi_5")
    elsewhere = ours.predict_many([*digits, MOBILENET], "raspberry_pi_4")

    assert mixed[1:] == first
    assert all(known is again for known, again in zip(first, mixed[1:], strict=True))
    expected = [PREDICTOR.predict(model, "raspberry_pi_4").energy_mj for model in (*digits, MOBILENET)]
    assert [said.energy_mj for said in elsewhere] == pytest.approx(expected)
    assert [said.predictor for said in elsewhere] == ["raspberry_pi_4@1"] * 4


@given(
    st.floats(1e-3, 500),
    st.floats(1e-6, 100),
    st.sampled_from(["raspberry_pi_4", "raspberry_pi_5", "jetson_nano_2gb", "toaster"]),
    st.booleans(),
)
def test_any_network_gets_a_finite_interval_around_its_figure(params_m, gmacs, device_type, quantized):
    model = Features(params_m=params_m, gmacs=gmacs, size_mb=params_m * 4, quantized=quantized)
    said = PREDICTOR.predict(model, device_type)

    assert 0 < said.low_mj <= said.energy_mj <= said.high_mj < float("inf")


@given(st.floats(1e-6, 0.009), st.floats(1e-6, 0.009))
def test_below_the_measured_range_more_work_never_costs_less(a, b):
    low, high = (Features(params_m=0.05, gmacs=g, size_mb=0.2) for g in sorted((a, b)))

    assert PREDICTOR.predict(low, "raspberry_pi_4").energy_mj <= PREDICTOR.predict(high, "raspberry_pi_4").energy_mj


def test_thresholds_are_given_per_device_type_in_both_units():
    pi_5 = PREDICTOR.thresholds()["raspberry_pi_5"]

    assert list(pi_5["energy_mj"]) == ["P10", "P25", "P50", "P75", "P90"]
    assert list(pi_5["energy_mj"].values()) == sorted(pi_5["energy_mj"].values())
    assert pi_5["energy_mwh"]["P50"] == pytest.approx(pi_5["energy_mj"]["P50"] / 7.2, abs=1e-3)


def test_metadata_publishes_errors_and_coverage_on_unseen_families():
    for board in PREDICTOR.metadata()["boards"].values():
        figures = board["kinds"]["full"]["figures"]
        assert figures["mape_pct"] <= 5
        assert figures["family_coverage_pct"] >= 93
        assert board["rejected"]["resnet50, kept apart"] >= 1


def test_a_predictor_that_training_did_not_write_is_refused(tmp_path):
    for path in ARTIFACTS.glob("*.json"):
        shutil.copy(path, tmp_path)
    document = json.loads((tmp_path / "energy_predictor.json").read_text())
    document["margins"]["other_board"] = 0
    (tmp_path / "energy_predictor.json").write_text(json.dumps(document))

    with pytest.raises(ArtifactError, match="not the file that training wrote"):
        FleetPredictor.load(tmp_path)


def test_a_missing_predictor_is_said(tmp_path):
    with pytest.raises(ArtifactError, match="cannot read"):
        FleetPredictor.load(tmp_path)


def test_predicting_imports_neither_sklearn_nor_pandas_nor_scipy():
    code = "import controller.predict.predictor, controller.gate, sys; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert not {"sklearn", "pandas", "scipy", "torch", "onnx", "onnxruntime"} & set(modules)


def test_the_controller_starts_without_what_trains_and_converts():
    code = "import controller.program, sys; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    unwanted = {"pandas", "sklearn", "scipy", "joblib", "torch", "timm", "onnx", "onnxruntime", "prometheus_client"}
    unwanted.add("psycopg")
    assert not unwanted & set(modules)


def test_a_prediction_names_the_measured_networks_it_leans_on():
    networks = json.loads((ARTIFACTS / "energy_predictor.json").read_text())["boards"]["raspberry_pi_4"]["names"]
    reason = PREDICTOR.predict(MOBILENET, "raspberry_pi_4").reasons[-1]

    assert reason.startswith("nearest measured: mobilenet")
    assert set(reason.removeprefix("nearest measured: ").split(", ")) <= set(networks)
