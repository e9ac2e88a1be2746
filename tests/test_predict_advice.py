"""What is offered fits, the most accurate first, and nothing untrained is called an alternative."""

from dataclasses import replace

import pytest

from controller.models.catalog import Catalogue
from controller.models.store import ArtifactStore
from controller.predict.advice import recommended, would_fit
from controller.predict.predictor import FleetPredictor

PREDICTOR = FleetPredictor.load()


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return Catalogue(ArtifactStore(tmp_path_factory.mktemp("store"))).all()


def names(offers):
    return [offer.model for offer in offers]


@pytest.mark.parametrize(
    ("device_type", "budget_mj", "expected"),
    [
        ("raspberry_pi_4", 1_000, ["digits_cnn_l", "digits_cnn_s", "digits_mlp"]),
        ("raspberry_pi_4", 155, ["digits_cnn_s", "digits_mlp"]),
        ("raspberry_pi_5", 155, ["digits_cnn_l", "digits_cnn_s", "digits_mlp"]),
        ("raspberry_pi_4", 0.001, []),
        ("raspberry_pi_4", None, []),
        ("beaglebone_black", 1_000, []),
    ],
)
def test_what_fits_is_offered_with_the_most_accurate_first(models, device_type, budget_mj, expected):
    assert names(would_fit(models, PREDICTOR, device_type, budget_mj)) == expected


def test_an_untrained_model_is_no_alternative_and_one_of_unknown_accuracy_comes_last(models):
    small = next(m for m in models if m.name == "digits_cnn_s")
    odd = [replace(small, name="noise", trained=False), replace(small, name="mine", trained=None, top1_pct=None)]

    assert names(would_fit([*odd, *models], PREDICTOR, "raspberry_pi_4", 155)) == ["digits_cnn_s", "digits_mlp", "mine"]


def test_the_cheapest_are_recommended_first(models):
    offers = recommended(models, PREDICTOR, "raspberry_pi_4")

    assert [model.name for model, _ in offers] == ["digits_mlp", "digits_cnn_s", "digits_cnn_l"]
    assert [said.energy_mj for _, said in offers] == sorted(said.energy_mj for _, said in offers)


def test_a_least_accuracy_and_a_limit_are_kept(models):
    offers = recommended(models, PREDICTOR, "raspberry_pi_4", min_top1_pct=98, limit=1)

    assert [model.name for model, _ in offers] == ["digits_cnn_s"]
    assert recommended(models, PREDICTOR, "beaglebone_black") == []
