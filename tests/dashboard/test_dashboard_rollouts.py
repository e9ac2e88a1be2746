"""The Rollouts page over a whole controller: what it shows of each wave, and what a person can do."""

import pytest
import streamlit as st

from controller.rollouts.guards import Guards
from controller.rollouts.request import Request, Selection
from controller.rollouts.state import Rules
from dashboard import api
from tests.dashboard.conftest import Page
from tests.rolling_fleet import MODEL, RollingFleet


def asked(*device_ids, waves=("1", "100%"), **rules):
    return Request(model=MODEL, selection=Selection(device_ids=device_ids), waves=waves, rules=Rules(**rules))


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """Rollouts that ended, failed, wait for somebody, and run; nothing moves any more by itself."""
    fleet = RollingFleet(tmp_path_factory.mktemp("dashboard"))
    fleet.joined(16)
    fleet.made = {}
    make = fleet.rolling.make

    fleet.made["done"] = make(asked("d00", "d01"), "cli", fleet.at).id
    fleet.tick()
    fleet.sample("d01", energy_mj=9.0)
    fleet.succeed("d00")
    fleet.tick()
    fleet.succeed("d01", energy_mj=6.0)
    fleet.made["failed"] = make(asked("d02", "d03", guards=Guards(energy_mj=8.0)), "dashboard", fleet.at).id
    fleet.tick()
    fleet.fail("d02", step="loading")
    fleet.made["away"] = make(asked("d04", "d05", waves=("100%",)), "rest", fleet.at).id
    fleet.tick()
    fleet.leave("d05")
    for number, name in enumerate(("pause", "abort", "back"), start=3):
        fleet.made[name] = make(asked(f"d{2 * number:02d}", f"d{2 * number + 1:02d}"), "cli", fleet.at).id
    fleet.tick(seconds=10)
    fleet.succeed("d08", "d10")
    fleet.tick()
    fleet.ends = {f"d{index:02d}": None for index in range(16)}
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


def test_the_list_says_how_far_each_is_and_who_began_it(fleet):
    page = Page("rollouts")

    assert "2 of 2 done" in page.text
    assert "1 of 2 done" in page.text or "0 of 2 done, 1 away, 1 under way" in page.text
    assert page.markup.count('class="ew-stacked"') == len(fleet.made)
    assert "open rollouts" in page.text


def test_failures_come_first_with_step_and_reason(fleet):
    page = Page("rollouts", id=fleet.made["failed"])

    assert "1 of 1 judged devices of wave 1 went wrong, at last d02: it broke" in page.text
    assert "What went wrong" in page.text
    assert "loading" in page.text
    assert page.markup.index("d02: failed (it broke)") < page.markup.index("d03: waiting")


def test_a_rollout_leads_to_all_its_events_and_an_unknown_one_is_told(fleet):
    made = fleet.made["failed"]
    page = Page("events", rollout=made)

    assert f'href="events?rollout={made}"' in Page("rollouts", id=made).markup
    assert "rollout of digits_cnn_s running for 2 devices" in page.text or "it broke" in page.text
    assert "d02" in page.text
    assert "d08" not in page.text
    assert "no rollout 'r9'" in Page("events", rollout="r9").text


def test_who_is_waited_for_is_named(fleet):
    page = Page("rollouts", id=fleet.made["away"])

    assert "Waiting for" in page.text
    assert "is away" in page.text
    assert "d05" in page.text


def test_the_end_shows_energy_before_and_after_beside_the_prediction(fleet):
    page = Page("rollouts", id=fleet.made["done"])

    assert "Before and after" in page.text
    assert ("raspberry_pi_5" in page.text, "5.5" in page.text, "0 of 2" in page.text) == (True, True, True)
    assert not any(page.has("button", key) for key in ("pause", "resume", "abort", "roll-back", "retry"))


def test_pausing_and_resuming_are_confirmed_and_done(fleet):
    page = Page("rollouts", id=fleet.made["pause"]).click("pause")
    assert "No further device begins. What is under way goes on" in page.text
    page.click("confirm")
    assert fleet.rollout(fleet.made["pause"]).phase == "paused"

    page.anew().click("resume")
    assert "no longer counts against it" in page.text
    page.click("confirm")
    assert fleet.rollout(fleet.made["pause"]).phase == "running"
    assert "watch it" in page.text


def test_an_abort_says_what_happens_to_those_done_and_asks_for_the_name(fleet):
    page = Page("rollouts", id=fleet.made["abort"]).click("abort")
    assert "1 done: The one device that has it keeps `digits_cnn_s`." in page.text.replace("**", "")
    assert page.at.button(key="confirm").disabled

    page.at.text_input(key="typed-name").input(MODEL)
    page.run().click("confirm")
    assert fleet.rollout(fleet.made["abort"]).phase == "aborted"


def test_rolling_back_sends_the_normal_command(fleet):
    page = Page("rollouts", id=fleet.made["back"]).click("roll-back")
    assert "returns to the model that it ran before" in page.text
    page.at.text_input(key="typed-name").input(MODEL)
    page.run().click("confirm")

    assert fleet.rollout(fleet.made["back"]).phase == "rolling_back"


def test_the_deploy_page_rolls_out_in_waves_once(fleet):
    page = Page("deploy", model=MODEL, to=["d12", "d13"], plan="1, 100%")
    assert "edgewatt deploy digits_cnn_s --to d12 --to d13 --plan 1,100%" in page.text
    page.click("roll-out")
    assert "In waves of 1,100%, d12 and d13 fetch it" in page.text
    page.click("confirm")

    newest = fleet.rolling.rollouts.find(limit=1)[0]
    assert (newest.who, [wave.size for wave in newest.waves]) == ("dashboard", [1, 1])
    assert f"rollouts?id={newest.id}" in page.markup


def test_a_plan_that_is_none_is_answered_with_how_to_write_one(fleet):
    before = fleet.rolling.rollouts.count()
    page = Page("deploy", model=MODEL, to=["d14", "d15"], plan="half").click("roll-out").click("confirm")

    assert "'half' is no wave. write 1,10%,50%,100%, or lists of devices" in page.text
    assert fleet.rolling.rollouts.count() == before


def test_an_unknown_rollout_says_so():
    assert "no rollout 'nothing'" in Page("rollouts", id="nothing").text
