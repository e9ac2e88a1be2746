"""Corrections of a device: contests, figures from a file, learning from its own, and what the gate believes."""

import json

import pytest

from controller.feedback.contest import held_out_error_percent, prior_error_percent, takes_over, telling
from controller.models.shipped import MODELS
from controller.predict.calibrate import Run, prior_type
from controller.predict.features import Features
from controller.predict.predictor import FleetPredictor
from tests.calibrating import FACTOR, METERED, PI_5, SIMULATED, ended, predicted, prior_of, tick
from tests.controlling import controller

PRIOR = FleetPredictor.load()


@pytest.fixture
async def running(tmp_path):
    async with controller(tmp_path) as whole:
        yield whole


def network(gmacs):
    return Features(params_m=gmacs * 8, gmacs=gmacs, size_mb=gmacs * 32, macts_m=gmacs * 12, n_convs=40)


def runs_at(factor, device_type=PI_5):
    models = [network(gmacs) for gmacs in (0.06, 0.1, 0.2, 0.4, 0.6, 0.8)]
    said = PRIOR.predict_many(models, prior_type(device_type))
    return [Run(model, factor * p.energy_mj) for model, p in zip(models, said, strict=True)]


def test_a_board_that_costs_three_times_the_prior_is_learned_from_the_other_runs():
    runs = runs_at(FACTOR)

    before, after = prior_error_percent(PRIOR, PI_5, runs), held_out_error_percent(PRIOR, PI_5, runs)

    assert before == pytest.approx(100 * (1 - 1 / FACTOR), abs=0.1)
    assert after < 10
    assert takes_over(before, after, len(runs))


@pytest.mark.parametrize(
    ("champion", "challenger", "runs"),
    [(10.0, 9.5, 10), (10.0, 10.0, 10), (10.0, 1.0, 4), (None, 1.0, 9), (9, None, 9)],
)
def test_a_small_lead_or_too_few_runs_leave_the_champion(champion, challenger, runs):
    assert not takes_over(champion, challenger, runs)


def test_a_network_of_which_other_boards_know_nothing_tells_nothing_about_a_board():
    perceptron = Features(params_m=0.009, gmacs=9e-6, size_mb=0.04, macts_m=0.0001, n_convs=0)

    assert telling(PRIOR, PI_5, [network(0.2), perceptron, network(0.4)], 2) == [True, False, True]
    assert telling(PRIOR, PI_5, [network(0.2), perceptron], 2) == [True, True]


def test_one_run_cannot_be_held_out():
    assert held_out_error_percent(PRIOR, PI_5, runs_at(1.0)[:1]) is None


async def rows_of(running, factor=2.0, source="usb_meter"):
    names = ("digits_mlp", "digits_cnn_s", "digits_cnn_l")
    return [{"model_name": n, "energy_mj": factor * await prior_of(running, n), "source": source} for n in names]


async def test_figures_from_a_file_calibrate_at_once_and_can_be_taken_back(running):
    async with running.joined():
        first = await running.post("/api/devices/pi5-1/calibrate", rows=await rows_of(running, 2.0))
        second = await running.post("/api/devices/pi5-1/calibrate", rows=await rows_of(running, 4.0))
        undone = (await running.post("/api/devices/pi5-1/calibrate/undo")).json()
        gone = (await running.post("/api/devices/pi5-1/calibrate/undo")).json()
        nothing = await running.post("/api/devices/pi5-1/calibrate/undo")

    assert first.json()["correction"]["cost_ratio"] == pytest.approx(2.0, rel=0.01)
    assert second.json()["correction"]["before_percent"] == pytest.approx(50.0, abs=2)
    assert undone["correction"]["id"] == first.json()["correction"]["id"]
    assert gone["correction"] is None
    assert nothing.status_code == 409


@pytest.mark.parametrize("source", ["", "model", "simulated"])
async def test_figures_that_no_meter_gave_are_refused(running, source):
    async with running.joined():
        answer = await running.post("/api/devices/pi5-1/calibrate", rows=await rows_of(running, source=source))

    assert (answer.status_code, answer.json()["field"]) == (422, "rows")


async def test_figures_of_two_meters_are_not_mixed(running):
    async with running.joined():
        rows = await rows_of(running) + await rows_of(running, source="pmic")
        answer = await running.post("/api/devices/pi5-1/calibrate", rows=rows)

    assert (answer.status_code, answer.json()["error"]) == (422, "the rows come from 2 meters: pmic, usb_meter")


async def test_figures_that_would_make_the_predictions_worse_change_nothing(running):
    async with running.joined():
        rows = await rows_of(running, 1.0)
        for row, factor in zip(rows, (0.2, 1.0, 5.0), strict=True):
            row["energy_mj"] *= factor
        answer = await running.post("/api/devices/pi5-1/calibrate", rows=rows)
        told = await running.get("/api/devices/pi5-1/calibration")

    assert (answer.status_code, answer.json()["code"]) == (409, "no_better")
    assert "nothing was changed" in answer.json()["error"]
    assert told["correction"] is None


async def test_a_correction_of_an_older_predictor_is_fitted_anew_to_the_newer_one(running):
    store = running.parts.service.store
    async with running.joined():
        await running.post("/api/devices/pi5-1/calibrate", rows=await rows_of(running))
        before = await predicted(running, "digits_cnn_s", device_id="pi5-1")
        document = json.loads(store.query("SELECT document FROM corrections")[0]["document"])
        older = document | {"predictor": "raspberry_pi_5@0", "weights": [0.0 for _ in document["weights"]]}
        store.connection.execute("UPDATE corrections SET document = ?", [json.dumps(older)])
        after = await predicted(running, "digits_cnn_s", device_id="pi5-1")

    assert after == before


async def test_a_device_that_is_forgotten_takes_its_calibration_along(running):
    async with running.joined(info=METERED):
        await running.post("/api/devices/pi5-1/calibrate", rows=await rows_of(running))
        await running.post("/api/devices/pi5-1/calibrate")
        await running.http.delete("/api/devices/pi5-1")
        await tick(running)
        newest = running.parts.calibrating.calibrations.newest("pi5-1")

    assert (newest.state, newest.reason) == ("cancelled", "the device is forgotten")
    assert running.parts.calibrating.learning.corrections.current("pi5-1") is None


async def test_a_device_learns_from_its_own_benchmarks_and_an_undo_is_respected(running):
    content = (MODELS / "digits_cnn_s.onnx").read_bytes()
    for number in range(6):
        running.parts.service.artifacts.add(content, model=f"copy_{number}")
    async with running.joined(info=METERED) as device:
        for number in range(5):
            await measured_as(running, device, f"copy_{number}")
        await tick(running)
        told = await running.get("/api/devices/pi5-1/calibration")
        await running.post("/api/devices/pi5-1/calibrate/undo")
        await measured_as(running, device, "copy_5")
        await tick(running)
        after = await running.get("/api/devices/pi5-1/calibration")

    assert (told["correction"]["origin"], told["correction"]["runs"]) == ("fleet", 5)
    assert told["correction"]["after_percent"] < told["correction"]["before_percent"]
    assert after["correction"] is None


async def measured_as(running, device, model):
    order = (await running.post("/api/devices/pi5-1/command", op="bench", model=model)).json()["command_id"]
    bench = await device.next_command("bench")
    result = {"model": model, "energy_mj": FACTOR * await prior_of(running, model), "energy_source": "pmic"}
    await device.ack(bench.id, "succeeded", 2, op="bench", result=result)
    await running.until(lambda: ended(running, order))


@pytest.mark.parametrize(
    ("info", "source", "device_type", "basis"),
    [
        (METERED, "pmic", PI_5, "measurement"),
        (METERED, "model", "raspberry_pi_4", "architecture"),
        (METERED, "simulated", "raspberry_pi_4", "architecture"),
        (SIMULATED, "simulated", "raspberry_pi_4", "measurement"),
        (METERED, "model", "beaglebone_black", "measurement"),
    ],
)
async def test_a_modelled_energy_does_not_beat_a_prediction_that_was_measured(
    running, info, source, device_type, basis
):
    model = "mobilenet_v1_untrained"
    async with running.joined(info=info, device_type=device_type) as device:
        order = (await running.post("/api/devices/pi5-1/command", op="bench", model=model)).json()["command_id"]
        bench = await device.next_command("bench")
        result = {"model": model, "energy_mj": 5.0, "energy_source": source}
        await device.ack(bench.id, "succeeded", 2, op="bench", result=result)
        await running.until(lambda: ended(running, order))
        told = (await running.deploy(device_id="pi5-1", model_name=model, dry_run=True)).json()

    assert told["verdict"]["basis"] == basis


async def test_a_prediction_for_a_device_of_another_type_than_said_is_refused(running):
    async with running.joined():
        wrong = await running.post(
            "/api/predict-energy", model_name="digits_mlp", device_id="pi5-1", device_type="jetson_nano_2gb"
        )
        nobody = await running.post("/api/predict-energy", model_name="digits_mlp")

    assert [a.json()["field"] for a in (wrong, nobody)] == ["device_type", "device_type"]
    assert json.loads(wrong.text)["error"] == "pi5-1 is a raspberry_pi_5, not a jetson_nano_2gb"
