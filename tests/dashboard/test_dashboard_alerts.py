"""The Alerts page over a whole controller: what needs somebody, what a person can do, rules as a table."""

import time

import pytest
import streamlit as st

from dashboard import alert_rules, api
from tests.alerting import AlertFleet
from tests.dashboard.conftest import Page

LONG = "camera-" + "x" * 56


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """Alerts that fire, flap, lost their data, are seen, and are silenced; nothing moves any more by itself."""
    fleet = AlertFleet(tmp_path_factory.mktemp("dashboard"))
    fleet.at = time.time() - 1_500.0
    fleet.join("pi5-1", "pi5-2", "pi5-3", "pi5-4", LONG)
    fleet.hot("pi5-4", 70, soc_pct=50.0)
    for _ in range(3):
        fleet.hot("pi5-1")
        fleet.hot("pi5-1", 10, temperature_c=60.0)
    fleet.at = time.time() - 80.0
    for _ in range(14):
        for device_id in ("pi5-1", "pi5-2", "pi5-3"):
            fleet.telemetry(device_id, temperature_c=85.0)
        fleet.telemetry(LONG, soc_pct=4.0, energy_mj=3.0, source="simulated")
        fleet.tick(5.0)
    with fleet.served():
        yield fleet
    fleet.store.close()


@pytest.fixture(autouse=True)
def controller(fleet, monkeypatch):
    monkeypatch.setenv("EDGEWATT_CONTROLLER_URL", fleet.url)
    yield
    api.client().close()
    st.cache_data.clear()
    st.cache_resource.clear()


def said(page):
    return " ".join(page.text.split())


def test_the_worst_comes_first_with_value_limit_age_and_what_to_do():
    page = Page("alerts")

    assert "alerts open, 1 critical" in page.text
    assert page.markup.index("battery-empty") < page.markup.index("too-hot")
    assert "85 °C" in said(page)
    assert "from 80 °C" in said(page)
    assert "Shade it" in page.text
    assert "open alerts" in page.text
    assert LONG not in page.text
    assert f"id={LONG}" in page.markup


def test_one_without_data_is_told_apart_by_word_and_shape_and_stays_open():
    page = Page("alerts", view="no_data")

    assert "fired before, stays open; its readings stopped" in page.text
    assert "ew-pill odd" in page.markup
    assert "too-hot on pi5-4" in said(page)


def test_one_that_flaps_is_one_row_with_its_times():
    page = Page("alerts", rule="too-hot", device="pi5-1")

    assert page.markup.count("Acknowledge or silence") == 1
    assert "4 times" in page.text
    assert "flaps" in page.text


def test_a_filter_in_the_address_narrows_and_an_empty_list_helps():
    page = Page("alerts", severity="critical")
    assert "battery-empty" in page.text
    assert "too-hot" not in page.text

    page.at.query_params["view"] = "acknowledged"
    assert "No alert matches" in page.run().text
    page.at.query_params.update({"view": "nonsense", "severity": ""})
    page.at.selectbox(key="severity").set_value("")
    assert "Open, worst first" in page.run().text


def test_what_is_chosen_by_name_is_acknowledged_after_a_question():
    page = Page("alerts", on="too-hot@pi5-2")
    page.at.text_input(key="ack-note").set_value("a fan is ordered")
    page.click("ack")
    assert "leave the list of open ones" in page.text
    page.click("confirm")

    assert "accepted" in page.text
    seen = Page("alerts", view="acknowledged").anew()
    assert "too-hot on pi5-2" in said(seen)
    assert "a fan is ordered" in seen.text


def test_a_silence_is_made_for_a_span_and_ended_early(fleet):
    page = Page("alerts", on="too-hot@pi5-3")
    page.at.text_input(key="silence-why").set_value("its roof is mended")
    page.click("silence")
    assert "No notice is sent of only these alerts for 2 h" in page.text
    page.click("confirm")

    assert "its roof is mended" in Page("alerts", view="silenced").anew().text
    page = Page("alerts", part="Silences").anew()
    assert "too-hot" in page.text
    silence = fleet.alerts.silences(time.time())[0]
    page.at.selectbox(key="silence-id").set_value(silence.id)
    page.run().click("end-silence").click("confirm")
    assert fleet.alerts.silences(time.time()) == []


def test_the_rules_are_a_table_with_where_they_are_from():
    page = Page("alerts", part="Rules")

    frame = page.at.dataframe[0].value if page.at.dataframe else page.at.get("arrow_data_frame")[0].value
    assert {"too-hot", "offline"} <= set(frame["rule"])
    assert page.at.button(key="save").disabled


def test_a_rule_is_previewed_and_made(fleet):
    page = Page("alerts", part="Rules")
    page.at.selectbox(key="quantity").set_value("temperature_c")
    page.at.number_input(key="threshold").set_value(70.0)
    page.at.number_input(key="for_s").set_value(5.0)
    page.at.text_input(key="new-name").set_value("warm")
    page.run()
    assert "warm would have fired" in page.text
    page.click("make").click("confirm")

    assert fleet.alerts.rule("warm")["threshold"] == 70.0
    page = Page("alerts", part="Rules").anew()
    page.at.selectbox(key="gone").set_value("warm")
    page.run().click("remove").click("confirm")
    assert "warm" not in {rule["name"] for rule in fleet.alerts.rules()}


def test_a_rule_that_makes_no_sense_is_said_before_it_is_made():
    page = Page("alerts", part="Rules")
    page.at.number_input(key="threshold").set_value(70.0)
    page.at.number_input(key="clear").set_value(90.0)
    page.run()

    assert "an alert could not clear at 90" in page.text


def test_edits_are_found_by_name_never_by_place():
    rule = {"name": "too-hot", "enabled": True, "severity": "warning", "comparison": ">=", "threshold": 80.0}
    rule |= {"for_s": 60.0, "clear": 75.0, "quantity": "temperature_c", "unit": "°C", "scope": "device", "says": ""}
    rule |= {"counts": {"firing": 1, "no_data": 0}, "built_in": True, "changed": False}
    rule |= dict.fromkeys(("device_ids", "tags", "device_types", "kinds"), ())
    other = rule | {"name": "warm", "clear": None, "threshold": 70.0}
    shown = alert_rules.rows([rule, other])
    edited = [shown[1] | {"clear": float("nan")}, shown[0] | {"threshold": 85.0, "clear": float("nan")}]

    assert alert_rules.changes([rule, other], shown) == {}
    assert alert_rules.changes([rule, other], edited) == {"too-hot": {"threshold": 85.0, "clear": None}}
    action = alert_rules.save({"too-hot": {"enabled": False}})
    assert action.targets == ("too-hot",)
    assert "its alerts end with it" in action.consequence


def test_a_device_shows_why_it_needs_somebody_as_the_fleet_does():
    page = Page("device", id=LONG)

    assert "Needs attention" in page.text
    assert page.markup.index("<i></i>battery empty") < page.markup.index("<i></i>battery low")
    assert "<i></i>too hot" not in page.markup
    assert f"alerts?on=battery-empty%40{LONG}" in page.markup


def test_the_fleet_has_one_line_for_each_device_with_value_limit_and_age_and_counts_what_does_not_shout():
    page = Page("fleet")

    assert page.markup.count('class="ew-need"') == len({each["device_id"] for each in api.client().alerts()["alerts"]})
    assert page.markup.index("<i></i>battery empty") < page.markup.index("<i></i>too hot")
    assert "85 °C, limit 80 °C" in page.text
    assert "without data" in page.text
    assert "too hot before: last" not in page.text
    assert "alerts?on=too-hot%40pi5-1" in page.markup


def test_without_a_controller_the_page_says_so(monkeypatch, free_port):
    monkeypatch.setenv("EDGEWATT_CONTROLLER_URL", f"http://127.0.0.1:{free_port}")

    page = Page("alerts")
    assert "No alerts to show" in page.text
    for part, what in (("Rules", "No rules to show"), ("Silences", "No silences to show")):
        page.at.segmented_control(key="part").set_value(part)
        assert what in page.run().text
