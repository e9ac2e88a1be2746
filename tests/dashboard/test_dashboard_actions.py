"""Writes: confirmed with names, sent once, to the devices that were shown."""

import pytest

from dashboard import api, words
from tests.dashboard import fake_controller, fake_fleet
from tests.dashboard.conftest import Page

pytestmark = pytest.mark.usefixtures("fake")


def deployed(fake):
    return [body for method, path, body in fake.writes if path == "/api/deploy" and not body.get("dry_run")]


def test_over_budget_is_refused_with_the_reason_and_a_model_that_fits():
    page = Page("deploy", model="digits_cnn_l", to="pi5-1", energy_mj="20")

    assert "65.4 mJ is above the budget of 20 mJ; would fit: digits_mlp (1.21 mJ), digits_cnn_s (4.83 mJ)" in page.text
    assert "The gate refused every device" in page.text
    assert not page.has("button", "deploy")


def test_one_click_takes_the_model_that_fits():
    page = Page("deploy", model="digits_cnn_l", to="pi5-1", energy_mj="20").click("take-digits_cnn_s")

    assert page.at.selectbox(key="model").value == "digits_cnn_s"
    assert page.has("button", "deploy")


def test_the_gate_is_only_asked_until_a_person_says_yes(fake):
    page = Page("deploy", model="digits_cnn_s", to=["pi5-1", "pi4-1"], energy_mj="20").click("deploy")

    assert deployed(fake) == []
    assert "fetch `digits_cnn_s`, prove it and then run it within 20 mJ per inference" in page.text


def test_after_a_yes_each_device_is_asked_once_and_can_be_watched(fake):
    page = Page("deploy", model="digits_cnn_s", to=["pi5-1", "pi4-1"], energy_mj="20").click("deploy").click("confirm")

    assert [body["device_id"] for body in deployed(fake)] == ["pi5-1", "pi4-1"]
    assert {body["max_energy_mj"] for body in deployed(fake)} == {20}
    assert page.markup.count("watch it") == 2


def test_a_device_that_joins_between_choosing_and_confirming_is_not_touched(fake):
    page = Page("deploy", model="digits_cnn_s", tagged="line=B").click("deploy")
    shown = [name for name in ("bbb-1", "pi4-1", "pi5-2") if f">{name}<" in page.markup]
    fake.devices.insert(0, fake_fleet.device("aaa-new", "raspberry_pi_5", {"line": "B"}))

    page.anew().click("confirm")

    assert shown == ["bbb-1", "pi4-1", "pi5-2"]
    assert [body["device_id"] for body in deployed(fake)] == shown


def test_a_link_to_a_device_that_registered_a_moment_ago_keeps_it(fake):
    Page("fleet")
    fake.devices.append(fake_fleet.device("zzz-new", "raspberry_pi_5", {"line": "B"}))

    page = Page("deploy", model="digits_cnn_s", to=["zzz-new", "nobody"]).click("deploy").click("confirm")

    assert page.at.multiselect(key="to").value == ["zzz-new"]
    assert [body["device_id"] for body in deployed(fake)] == ["zzz-new"]


def test_devices_beyond_those_that_are_listed_are_reached_by_id_and_by_tag(serve):
    fake = serve(api.SCANNED + 1)
    fake.devices += [fake_fleet.device(f"zzz-{n}", "raspberry_pi_5", {"line": "far"}) for n in range(3)]

    by_id = Page("deploy", model="digits_cnn_s", to="zzz-1")
    by_tag = Page("deploy", model="digits_cnn_s", tagged="line=far")

    assert "1 device: zzz-1" in by_id.text
    assert "3 devices: zzz-0, zzz-1 and zzz-2" in by_tag.text


def test_leaving_sends_nothing(fake):
    page = Page("deploy", model="digits_cnn_s", to="pi5-1").click("deploy").click("leave")

    assert deployed(fake) == []
    assert not page.has("button", "confirm")


def test_an_override_needs_a_reason_which_is_sent(fake):
    page = Page("deploy", model="digits_cnn_l", to="pi5-1", energy_mj="20")
    page.at.text_input(key="reason-pi5-1").input("field test until Friday")
    page.run().click("deploy")
    assert "The gate is overridden for **pi5-1**" in page.text

    page.click("confirm")

    (body,) = deployed(fake)
    assert (body["force"], body["reason"]) == (True, "field test until Friday")


def test_a_refusal_at_the_last_moment_is_shown_with_its_reason():
    page = Page("deploy", model="digits_cnn_s", to="pi5-1", energy_mj="20").click("deploy")
    fake_fleet.COST["raspberry_pi_5"], cheap = 90.0, fake_fleet.COST["raspberry_pi_5"]

    page.click("confirm")
    fake_fleet.COST["raspberry_pi_5"] = cheap

    assert "1 of 1 not accepted" in page.text
    assert "above the budget of 20 mJ" in page.text


def test_the_same_deed_is_given_as_commands():
    text = Page("deploy", model="digits_cnn_s", to="pi5-1", energy_mj="20").text

    assert "edgewatt deploy digits_cnn_s --to pi5-1 --energy-mj 20" in text
    said = "mosquitto_pub -h 127.0.0.1 -p 1883 -q 1 -t device/pi5-1/cmd -m "
    assert said + """'{"op":"deploy","model":"digits_cnn_s","max_energy_mj":20.0}'""" in text


def test_the_budget_is_shown_in_both_units():
    assert "= 2.78 mWh for a run of 500 inferences" in Page("deploy", energy_mj="20").text


def test_a_ping_needs_no_question(fake):
    Page("device", id="pi5-1").click("ping")

    assert fake.writes == [("POST", "/api/devices/pi5-1/command", {"op": "ping"})]


def test_a_rollback_is_confirmed_first(fake):
    fake.find("pi5-1")["previous"] = {"model": "digits_mlp"}
    page = Page("device", id="pi5-1").click("rollback")
    assert fake.writes == []

    page.click("confirm")

    assert fake.writes == [("POST", "/api/device/rollback", {"device_id": "pi5-1"})]


def test_a_calibration_is_confirmed_first_and_asked_for_once(fake, monkeypatch):
    begin = ("POST", r"/api/devices/([^/]+)/calibrate", fake_controller.accept)
    monkeypatch.setattr(fake_controller, "ROUTES", [begin, *fake_controller.ROUTES])
    page = Page("device", id="pi5-1").click("calibrate")
    assert fake.writes == []

    page.click("confirm")

    assert fake.writes == [("POST", "/api/devices/pi5-1/calibrate", {"models": [], "rows": []})]


def test_a_calibrated_device_says_how_far_off_its_predictions_are(fake):
    fake.find("pi5-1")["calibration"] = {"after_percent": 4.2, "simulated": 1}

    assert "calibrated on it, 4.2 % off (simulated)" in Page("device", id="pi5-1", part="About").text


def test_to_forget_a_device_its_name_is_typed(fake):
    page = Page("device", id="pi5-1").click("forget")
    assert page.at.button(key="confirm").disabled

    page.at.text_input(key="typed-name").input("pi5-1")
    page.run().click("confirm")

    assert fake.writes == [("DELETE", "/api/devices/pi5-1", None)]


def test_a_moving_deployment_can_be_cancelled(fake):
    moving = fake.add(fake.find("pi5-1"), "digits_cnn_l", events=[{"at": 1.0, "phase": "downloading", "reason": ""}])

    Page("deployments", id=moving["id"]).click("cancel").click("confirm")

    assert fake.writes[0][:2] == ("POST", f"/api/deployments/{moving['id']}/cancel")


def test_a_deployment_that_ended_can_no_longer_be_cancelled(fake):
    moving = fake.add(fake.find("pi5-1"), "digits_cnn_l", events=[{"at": 1.0, "phase": "downloading", "reason": ""}])
    page = Page("deployments", id=moving["id"])
    assert page.has("button", "cancel")

    moving |= {"phase": "succeeded", "terminal": True}

    assert not page.anew().has("button", "cancel")


def test_too_many_devices_at_once_are_not_asked_about(serve):
    fake = serve(1_050)
    for each in fake.devices:
        each["tags"] = {"line": "A"}

    page = Page("deploy", model="digits_cnn_s", tagged="line=A")

    assert "This page sends to 1,000 at most" in page.text
    assert fake.writes == []


def test_what_binds_it_besides_its_energy_is_asked_shown_as_commands_and_sent(fake):
    page = Page("deploy", model="digits_cnn_s", to="pi5-1", energy_mj="20", latency_ms="30", soc_min="40")
    page.at.text_input(key="window").input("22:00-05:00")
    page.run().click("deploy")

    assert "--latency-ms 30 --when-soc-min 40 --when-window 22:00-05:00" in page.text
    assert '"when":{"soc_min_pct":40.0,"window":"22:00-05:00"}' in page.text
    assert "a p95 of at most 30 ms; begins when battery at 40 % or more, between 22:00 and 05:00" in page.text

    page.click("confirm")

    (body,) = deployed(fake)
    assert body["when"] == {"soc_min_pct": 40.0, "window": "22:00-05:00"}
    assert (body["max_latency_ms"], body["max_energy_mj"]) == (30.0, 20.0)
    assert "soak_s" not in body


def test_many_devices_are_judged_by_board_and_go_in_waves_with_a_canary(serve):
    fake = serve(60)
    line_b = [each for each in fake.devices if each["tags"]["line"] == "B"]

    page = Page("deploy", model="digits_cnn_l", tagged="line=B", energy_mj="100", latency_ms="40")
    refused = [each["id"] for each in line_b if each["device_type"] != "raspberry_pi_5"]

    assert page.markup.count('class="ew-verdict ') == len({each["device_type"] for each in line_b})
    assert f"{len(refused)} of {len(line_b)} left out by the gate" in page.text
    assert "edgewatt deploy digits_cnn_l --to line=B --energy-mj 100" in page.text
    assert "--only-fitting --plan 1,10%,50%,100%" in page.text
    assert "--latency-ms 40" in page.text
    page.click("roll-out").click("confirm")
    sent = [body for _, path, body in fake.writes if path == "/api/rollouts" and not body.get("dry_run")]
    assert not set(sent[0]["device_ids"]) & set(refused)
    assert len(sent[0]["device_ids"]) == len(line_b) - len(refused)


def test_the_present_figures_of_the_fleet_stand_beside_the_budget(fake):
    spent = [fake.find(name)["latest"]["energy"]["energy_mj"] for name in ("pi5-1", "pi4-1")]
    low, high = sorted(spent)

    text = Page("deploy", model="digits_cnn_s", to=["pi5-1", "pi4-1"], energy_mj=str(low + 0.01)).text

    assert f"energy now: {words.figure(low)}–{words.figure(high)} mJ, 1 of 2 above the budget" in text
    assert "2 live now · 1 raspberry_pi_4, 1 raspberry_pi_5" in text
