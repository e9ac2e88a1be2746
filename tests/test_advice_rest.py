"""Advice over REST: the frontier, an explanation, the best model per device, batteries, a plan."""

import pytest

from tests.controlling import controller

BUDGET = 155.0


@pytest.fixture
async def running(tmp_path):
    async with controller(tmp_path) as whole:
        yield whole


async def test_the_frontier_names_who_is_dominated_and_keeps_apart_what_has_no_accuracy(running):
    await running.get("/api/predict-energy")
    running.parts.catalogue.get("mobilenet_v1_untrained")

    found = await running.get("/api/models/pareto", device_type="raspberry_pi_4")

    assert {each["name"] for each in found["models"]} == {"digits_mlp", "digits_cnn_s", "digits_cnn_l"}
    assert [each["name"] for each in found["apart"]] == ["mobilenet_v1_untrained"]
    assert all(each["on_frontier"] == (not each["dominated_by"]) for each in found["models"])
    assert {each["energy_source"] for each in found["models"]} == {"predicted"}


async def test_published_networks_come_measured_where_the_board_was_measured(running):
    found = await running.get("/api/models/pareto", device_type="raspberry_pi_4", published=True)

    networks = [each for each in found["models"] if not each["in_store"]]
    assert len(networks) > 50
    assert any(each["energy_source"].startswith("measured") for each in networks)
    assert all(each["latency_ms"] for each in networks)
    dominated = [each for each in networks if each["dominated_by"]]
    assert dominated
    assert {name for each in dominated for name in each["dominated_by"]} <= {e["name"] for e in networks}


async def test_the_networks_that_could_be_made_are_compared_too_and_not_taken_for_stored_ones(running):
    found = await running.get("/api/models/pareto", device_type="raspberry_pi_4", listed=True)

    unmade = [each for each in found["models"] if not each["in_store"]]
    assert len(unmade) > 500
    assert 5 < sum(each["on_frontier"] for each in unmade) < 100
    assert {each["name"] for each in found["models"]} >= {"digits_mlp", "resnet50"}


async def test_a_board_without_predictions_has_no_figures_only_reasons(running):
    found = await running.get("/api/models/pareto", device_type="beaglebone_black")

    assert found["models"] == []
    assert {each["energy_mj"] for each in found["apart"]} == {None}
    assert all(each["reasons"] for each in found["apart"])


async def test_an_explanation_has_the_figures_the_neighbours_and_the_variants(running):
    told = await running.get("/api/models/explain", model="digits_cnn_l", device_type="raspberry_pi_4")

    assert told["prediction"]["energy_mj"] > 0
    assert len(told["nearest_measured"]) == 3
    assert [each["name"] for each in told["variants"]]
    assert told["features"]["gmacs"] > 0


async def test_each_device_gets_the_most_accurate_model_that_fits_it(running):
    async with (
        running.joined("pi5-1", device_type="raspberry_pi_5"),
        running.joined("pi4-1", device_type="raspberry_pi_4"),
        running.joined("bbb-1", device_type="beaglebone_black"),
    ):
        body = {"device_ids": ["pi5-1", "pi4-1", "bbb-1"], "max_energy_mj": BUDGET, "min_top1": 70}
        plan = (await running.post("/api/deploy/best", **body, dry_run=True)).json()
        nothing = await running.get("/api/deployments")
        done = await running.post("/api/deploy/best", **body)

    assert {each["device_id"]: each["model"] for each in plan["devices"]} == {
        "pi5-1": "digits_cnn_l",
        "pi4-1": "digits_cnn_s",
        "bbb-1": None,
    }
    assert "measure first" in plan["devices"][2]["reason"]
    assert nothing["total"] == 0
    assert done.status_code == 202
    assert [bool(each["deployment_id"]) for each in done.json()["devices"]] == [True, True, False]


async def test_when_no_model_fits_any_device_the_answer_is_a_refusal_with_the_cheapest(running):
    async with running.joined("pi4-1", device_type="raspberry_pi_4"):
        answer = await running.post("/api/deploy/best", device_ids=["pi4-1"], max_energy_mj=1, min_top1=98)

    told = answer.json()
    assert answer.status_code == 409
    assert "the cheapest, digits_cnn_s, takes up to" in told["devices"][0]["reason"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/deploy/best", {"max_energy_mj": 10}),
        ("/api/deploy/best", {"device_ids": ["pi4-1"], "max_energy_mj": -1}),
        ("/api/deploy/best", {"device_ids": ["pi4-1"], "max_energy_mj": 10, "min_top1": 200}),
        ("/api/plan", {"energy_wh_per_day": 0}),
        ("/api/plan", {"energy_wh_per_day": 1, "rate_hz": 0}),
    ],
)
async def test_what_makes_no_sense_is_a_422_in_the_one_form(running, *, path, body):
    async with running.joined("pi4-1", device_type="raspberry_pi_4"):
        answer = await running.post(path, **body)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert answer.json()["hint"]


async def test_a_refusal_names_other_devices_on_which_the_model_would_fit_and_the_accuracy_lost(running):
    async with (
        running.joined("pi5-1", device_type="raspberry_pi_5"),
        running.joined("pi4-1", device_type="raspberry_pi_4"),
    ):
        told = await running.deploy(device_id="pi4-1", model_name="digits_cnn_l", max_energy_mj=BUDGET, dry_run=True)

    verdict = told.json()["verdict"]
    assert [each["device_id"] for each in verdict["elsewhere"]] == ["pi5-1"]
    assert verdict["would_fit"][0]["accuracy_loss_points"] == pytest.approx(1.0, abs=2)
    assert "the same model would fit on pi5-1" in verdict["sentence"]
    assert [each["name"] for each in verdict["variants"]] == ["digits_cnn_l (int8)", "digits_cnn_l (180 pixels)"]


async def test_a_battery_lasts_as_long_as_energy_rate_and_idle_power_say(running):
    async with running.joined("pi4-1", device_type="raspberry_pi_4"):
        path = "/api/devices/pi4-1/battery"
        told = await running.get(path, model="digits_cnn_s", rate_hz=2, battery_wh=40, solar_wh_per_day=100)
        unknown = await running.http.get(path, params={"model": "nope"})

    expected_mw = told["idle_mw"] * (1 - told["duty"]) + 2 * told["energy_mj"]
    assert told["duty"] == pytest.approx(2 * told["latency_ms"] / 1e3)
    assert told["average_mw"] == pytest.approx(expected_mw)
    assert told["battery_hours"] == pytest.approx(40_000 / expected_mw)
    assert told["solar_share"] == pytest.approx(expected_mw * 24 / 1e5)
    assert "Raspberry Pi" in told["idle_source"]
    assert unknown.status_code == 404


async def test_what_a_device_says_of_its_battery_and_sun_is_taken_unless_something_else_is_given(running):
    async def told():
        return running.parts.service.store.device("pi4-1")["info"].get("battery_wh") is not None

    async with running.joined("pi4-1", device_type="raspberry_pi_4") as device:
        await device.join(battery_wh=20.0, solar_wh_per_day=50.0)
        await running.until(told)
        path = "/api/devices/pi4-1/battery"
        own = await running.get(path, model="digits_cnn_s")
        given = await running.get(path, model="digits_cnn_s", battery_wh=40)

    assert (own["battery_wh"], own["solar_wh_per_day"]) == (20.0, 50.0)
    assert given["battery_hours"] == pytest.approx(2 * own["battery_hours"])


async def test_a_battery_of_a_board_without_a_prediction_asks_to_measure(running):
    async with running.joined("bbb-1", device_type="beaglebone_black"):
        answer = await running.http.get("/api/devices/bbb-1/battery", params={"model": "digits_cnn_s"})

    assert (answer.status_code, answer.json()["code"]) == (409, "no_prediction")
    assert "edgewatt devices measure bbb-1 digits_cnn_s" in answer.json()["hint"]


async def test_a_plan_spends_the_energy_where_it_gains_accuracy_and_leaves_out_who_is_unknown(running):
    async with (
        running.joined("pi5-1", device_type="raspberry_pi_5"),
        running.joined("pi4-1", device_type="raspberry_pi_4"),
        running.joined("bbb-1", device_type="beaglebone_black"),
    ):
        rich = (await running.post("/api/plan", energy_wh_per_day=1_000)).json()
        poor = (await running.post("/api/plan", energy_wh_per_day=0.001, min_top1=90)).json()

    assert {each["device_id"]: each["model"] for each in rich["assigned"]} == {
        "pi4-1": "digits_cnn_l",
        "pi5-1": "digits_cnn_l",
    }
    assert [each["device_id"] for each in rich["left_out"]] == ["bbb-1"]
    assert not poor["feasible"]
    assert poor["short_wh_per_day"] == pytest.approx(poor["least_wh_per_day"] - 0.001)
    assert "Wh short" in poor["sentence"]
    assert "of 1,000 Wh per day" in rich["sentence"]


async def test_recommended_says_why_a_board_has_no_figures(running):
    told = await running.get("/api/models/recommended", device_type="beaglebone_black")

    assert told["models"]
    assert all(each["prediction"]["reasons"] for each in told["models"])
