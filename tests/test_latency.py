"""The implied latency is the one at which the board would cost what is predicted; below support there is none."""

import statistics
from dataclasses import replace

import pytest

from controller.predict.features import Features
from controller.predict.latency import implied_ms
from controller.predict.predictor import FleetPredictor
from controller.predict.published import distinct, measured

PREDICTOR = FleetPredictor.load()
BOARD = "raspberry_pi_4"


def implied(models, board=BOARD):
    return implied_ms(models, PREDICTOR.predict_many(models, board), PREDICTOR, board)


def test_told_to_the_predictor_it_gives_the_predicted_energy_again():
    models = [network.features for network in distinct(measured(BOARD))[:20]]
    energies = [said.energy_mj for said in PREDICTOR.predict_many(models, BOARD)]

    timed = [replace(m, latency_avg_s=ms / 1e3) for m, ms in zip(models, implied(models), strict=True)]

    assert [said.energy_mj for said in PREDICTOR.predict_many(timed, BOARD)] == pytest.approx(energies, rel=1e-6)


def test_it_is_near_what_was_measured():
    known = measured(BOARD)
    networks = [network for network in distinct(known) if network.name in known]
    found = implied([network.features for network in networks])
    errors = [abs(ms / known[n.name].latency_ms - 1) for n, ms in zip(networks, found, strict=True) if ms]

    assert len(errors) > 80
    assert statistics.median(errors) < 0.06


@pytest.mark.parametrize("board", ["beaglebone_black", "jetson_nano_2gb", "toaster"])
def test_below_support_there_is_none(board):
    network = distinct(measured(BOARD))[0]

    assert implied([network.features], board) == [None]


def test_a_model_far_from_everything_measured_has_none():
    assert implied([Features(params_m=0.01, gmacs=1e-6, size_mb=0.04)]) == [None]


def test_nothing_asked_is_nothing_answered():
    assert implied([]) == []
