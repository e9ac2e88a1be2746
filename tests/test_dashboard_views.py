"""What the documents of devices mean: tags, agreement with the prediction."""

import pytest

from dashboard import views
from tests.dashboard.fleet_rows import device


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (8.0, "predicted 7–9 mJ, measured 8 mJ: inside"),
        (18.0, "predicted 7–9 mJ, measured 18 mJ: 100% above"),
        (3.5, "predicted 7–9 mJ, measured 3.5 mJ: 50% below"),
    ],
)
def test_prediction_beside_measurement_in_words(value, said):
    assert views.agreement(device(latest={"energy": {"energy_mj": value, "source": "pmic"}})) == said


def test_a_prediction_for_another_model_is_not_compared():
    rolled_back = device(desired={"model": "bigger"}, drift="wants bigger, runs m")

    assert views.agreement(rolled_back) == "no prediction; measured 8 mJ"


def test_a_device_that_said_nothing_is_said_to_have_said_nothing():
    quiet = device(latest=None, budget=None)

    assert views.agreement(quiet) == "predicted 7–9 mJ, nothing from the device yet"
    assert views.agreement(quiet | {"predicted": None}) == "no prediction, and no figure from the device"


def test_tags_of_all_devices_are_offered_once():
    assert views.known_tags([{"tags": {"line": "A"}}, {"tags": {"line": "A", "site": "x"}}, {}]) == ["line=A", "site=x"]
