"""Training gives the shipped files again; needs the measured data, which is not part of the project."""

from pathlib import Path

import numpy as np
import pytest

pd = pytest.importorskip("pandas")

from controller.models.shipped import ARTIFACTS  # noqa: E402  # after the check for pandas
from controller.models.shipped import DATA as SHIPPED_DATA  # noqa: E402  # as above
from controller.predict import aggregate, readings  # noqa: E402  # as above
from controller.predict.evaluate import conformal, folds  # noqa: E402  # as above
from controller.predict.process import Kernel, Process  # noqa: E402  # as above
from controller.predict.rows import select  # noqa: E402  # as above
from controller.predict.train import kinds, train_board  # noqa: E402  # as above

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "mlperf_edge_energy.csv"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the measured data lies outside the project")


def test_a_process_passes_through_what_it_was_given_and_is_unsure_far_away():
    x = np.linspace(0, 1, 12)[:, None]
    kernel = Kernel(smooth=1.0, lengths=(0.5,), linear=0.1, noise=0.01)
    process = Process(kernel=kernel, x=x, y=np.sin(3 * x[:, 0]))
    mean, spread = process.at(np.array([[0.5], [9.0]]))

    assert mean[0] == pytest.approx(np.sin(1.5), abs=0.02)
    assert spread[1] > 5 * spread[0]


def test_a_process_survives_its_document():
    x = np.random.default_rng(1).standard_normal((10, 3))
    process = Process(kernel=Kernel(smooth=1.0, lengths=(1.0, 1.0, 1.0), linear=0.2, noise=0.1), x=x, y=x.sum(1))
    again = Process.from_document(process.document)

    assert again.at(x + 0.1)[0] == pytest.approx(process.at(x + 0.1)[0], abs=1e-6)


def test_no_architecture_is_torn_over_two_folds():
    architectures = np.repeat([f"net{i}" for i in range(30)], 2)
    numbers = folds(architectures)

    assert len(set(numbers)) == 10
    assert all(len(set(numbers[architectures == name])) == 1 for name in architectures)


def test_the_conformal_quantile_is_the_finite_sample_one():
    assert conformal(np.arange(1.0, 102.0)) == pytest.approx(96.94, abs=0.01)
    assert conformal(np.arange(5.0)) == 4.0
    assert conformal(np.arange(1.0, 102.0), independent=10) == 101.0


@needs_data
def test_rows_are_left_out_for_a_reason_and_counted():
    table = pd.read_csv(DATA)
    rows, rejected = select(table, "raspberry_pi_4", "tflite")

    assert len(rows) == 94
    assert len(rows) + sum(rejected.values()) == (table["board"] == "raspberry_pi_4").sum()
    assert rejected["resnet50, kept apart"] == 2


@needs_data
def test_a_row_whose_energy_contradicts_its_power_is_left_out():
    table = pd.read_csv(DATA)
    first = select(table, "raspberry_pi_4", "tflite")[0].index[0]
    table.loc[first, "energy_mj"] *= 2

    assert select(table, "raspberry_pi_4", "tflite")[1]["energy contradicts power and latency"] == 1


def test_training_again_gives_the_shipped_predictor():
    shipped = pd.read_json(ARTIFACTS / "energy_predictor.json", typ="series")["boards"]["raspberry_pi_4"]
    table = readings.shipped()
    again = train_board(table, "raspberry_pi_4", kinds(table))

    assert again["kinds"]["full"]["widening"] == pytest.approx(shipped["kinds"]["full"]["widening"], rel=1e-3)
    assert again["kinds"]["full"]["figures"] == pytest.approx(shipped["kinds"]["full"]["figures"], abs=0.1)
    assert again["cost"]["float"] == pytest.approx(shipped["cost"]["float"])


@needs_data
def test_aggregating_again_gives_the_shipped_tables(tmp_path):
    aggregate.main(["--data", str(DATA), "--out", str(tmp_path)])

    for name in ("measured_energy.csv", "networks.csv"):
        assert (tmp_path / name).read_text() == (SHIPPED_DATA / name).read_text()


def test_every_shipped_figure_has_a_source_and_a_known_network():
    table = pd.read_csv(SHIPPED_DATA / "measured_energy.csv")
    known = pd.read_csv(SHIPPED_DATA / "networks.csv")

    assert table.notna().all(axis=None)
    assert set(table["model"]) == set(known["model"])
    assert (table["energy_mj"] / (table["power_mean_w"] * table["latency_mean_ms"])).between(0.95, 1.05).all()
