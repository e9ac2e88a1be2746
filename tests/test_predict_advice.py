"""What is offered fits, the most accurate first, and nothing untrained is called an alternative."""

from dataclasses import replace

import pytest

from controller.models.catalog import Catalogue
from controller.models.store import ArtifactStore
from controller.predict.advice import INT8_LOSS_POINTS, elsewhere, recommended, variants, would_fit
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


def test_a_board_without_predictions_still_names_the_models_to_measure_first_and_says_why_there_is_no_figure(models):
    offers = recommended(models, PREDICTOR, "beaglebone_black")

    assert [model.name for model, _ in offers] == ["digits_mlp", "digits_cnn_s", "digits_cnn_l"]
    assert all(said.energy_mj is None and said.reasons for _, said in offers)


def test_an_alternative_says_what_accuracy_it_costs(models):
    wanted = next(m for m in models if m.name == "digits_cnn_l")
    small = next(m for m in models if m.name == "digits_cnn_s")

    offer = next(o for o in would_fit(models, PREDICTOR, "raspberry_pi_4", 155, wanted) if o.model == "digits_cnn_s")

    assert offer.accuracy_loss_points == pytest.approx(wanted.top1_pct - small.top1_pct)


def test_accuracies_of_different_questions_are_not_subtracted_and_come_later(models):
    wanted = next(m for m in models if m.name == "digits_cnn_l")
    other = replace(wanted, name="imagenet", labels=1_000, top1_pct=99.9)

    offers = would_fit([other, *models], PREDICTOR, "raspberry_pi_4", 1_000, wanted)

    assert offers[-1].model == "imagenet"
    assert offers[-1].accuracy_loss_points is None


def test_other_devices_are_named_where_the_model_would_fit_and_what_was_measured_there_counts(models):
    wanted = next(m for m in models if m.name == "digits_cnn_l")
    fleet = [("pi5-1", "raspberry_pi_5"), ("pi5-2", "raspberry_pi_5"), ("pi4-1", "raspberry_pi_4"), ("b", "x86")]
    budget_mj = PREDICTOR.predict(wanted.features, "raspberry_pi_5").high_mj + 1

    found = elsewhere(wanted, PREDICTOR, fleet, budget_mj, {"pi5-2": budget_mj + 1, "b": 1.0})

    assert [e.device_id for e in found] == ["b", "pi5-1"]


def test_variants_are_predicted_cheaper_and_marked_with_the_accuracy_they_lose(models):
    wanted = replace(next(m for m in models if m.name == "digits_cnn_l"), gmacs=0.5, macts_m=6.0, params_m=4.0)
    wanted = replace(wanted, size_mb=16.0, input_res=224, dw_gmacs=0.03, n_convs=40)
    now = PREDICTOR.predict(wanted.features, "raspberry_pi_4").energy_mj

    found = {v.name: v for v in variants(wanted, PREDICTOR, "raspberry_pi_4")}

    assert set(found) == {"digits_cnn_l (int8)", "digits_cnn_l (168 pixels)"}
    assert all(v.energy_mj < now for v in found.values())
    assert found["digits_cnn_l (int8)"].accuracy_loss_points == INT8_LOSS_POINTS
