"""A few runs on a new board correct what other boards foretell, and say how much doubt is left."""

import json
import math
from dataclasses import dataclass, replace

import pytest

from broker.errors import InvalidError
from controller.predict.calibrate import Run, calibrate, choose_runs, prior_type
from controller.predict.correction import Correction, corrected
from controller.predict.features import Features
from controller.predict.predictor import FleetPredictor

PRIOR = FleetPredictor.load()


def network(gmacs, *, quantized=False):
    return Features(
        params_m=gmacs * 8,
        gmacs=gmacs,
        size_mb=gmacs * 32,
        macts_m=gmacs * 12,
        input_res=224,
        dw_gmacs=gmacs / 20,
        n_convs=40,
        quantized=quantized,
    )


NETWORKS = [network(gmacs, quantized=q) for gmacs in (0.06, 0.1, 0.2, 0.4, 0.8) for q in (False, True)]


@dataclass(frozen=True)
class Candidate:
    name: str
    features: Features


def runs_at(factor, device_type):
    said = PRIOR.predict_many(NETWORKS, prior_type(device_type))
    return [Run(model, p.energy_mj * factor) for model, p in zip(NETWORKS, said, strict=True)]


@pytest.mark.parametrize("device_type", ["jetson_nano_2gb", "beaglebone_black", "raspberry_pi_5", "something_new"])
def test_a_board_that_costs_twice_as_much_is_found_out(device_type):
    correction = calibrate(PRIOR, device_type, runs_at(2.0, device_type))
    model = network(0.3)
    before = PRIOR.predict(model, prior_type(device_type))
    after = corrected(before, model, correction)

    assert after.energy_mj == pytest.approx(2 * before.energy_mj, rel=0.05)
    assert after.low_mj < after.energy_mj < after.high_mj
    assert after.high_mj / after.low_mj < before.high_mj / before.low_mj
    assert after.support == "high"
    assert "10 models measured on this board" in after.reasons[0]


def test_more_runs_leave_less_doubt():
    runs = runs_at(3.0, "beaglebone_black")
    model = network(0.3)
    before = PRIOR.predict(model, "unified")
    widths = [
        math.log(after.high_mj / after.low_mj)
        for k in (1, 4, 10)
        for after in [corrected(before, model, calibrate(PRIOR, "beaglebone_black", runs[:k]))]
    ]

    assert widths == sorted(widths, reverse=True)


def test_a_correction_survives_json():
    correction = calibrate(PRIOR, "raspberry_pi_4", runs_at(1.5, "raspberry_pi_4"))

    assert Correction.from_document(json.loads(json.dumps(correction.document))) == correction


def test_a_model_far_from_anything_measured_stays_in_doubt():
    correction = calibrate(PRIOR, "raspberry_pi_4", runs_at(1.5, "raspberry_pi_4"))
    huge = network(400.0)

    assert corrected(PRIOR.predict(huge, "raspberry_pi_4"), huge, correction).support == "low"


def test_a_latency_measured_on_the_device_needs_no_correction():
    correction = calibrate(PRIOR, "raspberry_pi_4", runs_at(1.5, "raspberry_pi_4"))
    timed = replace(network(0.3), latency_avg_s=0.02)
    said = PRIOR.predict(timed, "raspberry_pi_4")

    assert corrected(said, timed, correction) is said


def test_a_correction_of_another_predictor_is_not_applied_and_says_so():
    correction = replace(
        calibrate(PRIOR, "raspberry_pi_4", runs_at(1.5, "raspberry_pi_4")), predictor="raspberry_pi_4@0"
    )
    said = PRIOR.predict(network(0.3), "raspberry_pi_4")
    after = corrected(said, network(0.3), correction)

    assert after.energy_mj == said.energy_mj
    assert "calibrate again" in after.reasons[0]


def test_no_runs_and_impossible_energies_are_refused():
    with pytest.raises(InvalidError):
        calibrate(PRIOR, "raspberry_pi_4", [])
    with pytest.raises(InvalidError) as refused:
        Run(network(0.3), -1.0)
    assert refused.value.facts["field"] == "energy_mj"


def test_the_runs_chosen_differ_from_one_another():
    candidates = [Candidate(f"net{i}", model) for i, model in enumerate(NETWORKS)]
    twins = [Candidate(f"twin{i}", NETWORKS[0]) for i in range(5)]
    chosen = choose_runs([*twins, *candidates], NETWORKS, PRIOR, "beaglebone_black", k=6)

    assert len(set(chosen)) == 6
    assert sum(name.startswith("twin") or name == "net0" for name in chosen) <= 2


def test_runs_are_chosen_for_what_shall_be_deployed():
    candidates = [Candidate("small int8", network(0.06, quantized=True)), Candidate("large float", network(0.8))]

    assert choose_runs(candidates, [network(0.7)], PRIOR, "beaglebone_black", k=1) == ["large float"]
    assert choose_runs(candidates, [], PRIOR, "beaglebone_black", k=1) == ["small int8"]
