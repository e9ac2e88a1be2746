"""Every page: a normal fleet, an empty one, one of a thousand, long and hostile names, and no controller."""

import time

import pytest

from dashboard import api, views
from tests.dashboard import fake_fleet
from tests.dashboard.conftest import Page
from tests.dashboard.fake_controller import FakeController

pytestmark = pytest.mark.usefixtures("fake")

PAGES = ("fleet", "device", "deploy", "deployments", "models", "predictions", "events")


def test_the_fleet_says_in_one_sentence_who_needs_a_person():
    page = Page("fleet")

    assert "3 of 5 devices need you" in page.text
    assert "1 over budget, 1 silent, 1 rolled back." in page.text


def test_the_fleet_lists_the_worst_first_with_its_reason():
    text = Page("fleet").text

    assert text.index("(+45%)") < text.index("connected, but no reading for 21 min")
    assert "throttled at 84.2 °C" in text


def test_a_calm_fleet_says_that_nothing_is_needed(serve):
    serve(2)

    assert "Nothing needs you now" in Page("fleet").text


def test_the_status_line_is_on_every_page():
    for name in PAGES:
        text = Page(name).text
        assert "broker  connected" in text
        assert "refused messages  3" in text
        assert "no sign-in: local use only" in text


def test_a_silent_device_keeps_its_old_figures_pale_and_dated():
    page = Page("fleet")

    assert "21 min ago" in page.text
    assert "ew-old" in page.markup


def test_the_health_filter_in_the_address_narrows_the_table():
    page = Page("fleet", health="silent")

    assert "1–1 of 1 device" in page.text
    assert "ew-tile on" in page.markup


def test_a_filter_that_matches_nothing_says_so():
    assert "No device matches" in Page("fleet", q="nobody").text


@pytest.mark.parametrize("name", PAGES)
def test_an_empty_fleet_has_a_next_step(serve, name):
    fake = serve(0)
    fake.models = []

    page = Page(name)

    assert any(words in page.text for words in ("edgewatt", "Choose", "Deploy", "appear here"))


@pytest.mark.parametrize("name", PAGES)
def test_without_a_controller_each_page_says_what_to_do(monkeypatch, free_port, name):
    monkeypatch.setenv("EDGEWATT_CONTROLLER_URL", f"http://127.0.0.1:{free_port}")

    page = Page(name, id="pi5-1")

    assert "cannot be reached" in page.text
    assert "edgewatt up" in page.text
    api.client().close()


def test_when_the_controller_goes_away_the_last_good_data_stay_with_their_age(fake, monkeypatch):
    page = Page("fleet")
    fake.stop()
    monkeypatch.setattr(api.Reading, "held_s", 600.0)

    page.anew()

    assert "cannot be reached" in page.text
    assert "What you see was said" in page.text
    assert page.text.count("10 min ago") >= 4  # each reading has grown older by as much
    assert "3 of 5 devices need you" in page.text


@pytest.mark.parametrize("name", PAGES)
def test_hostile_names_of_200_characters_are_shown_as_text(serve, name):
    fake = serve(2)
    ugly = ("<script>alert(1)</script>" * 8)[:200]
    fake.add_long_names(ugly)

    page = Page(name, id=ugly) if name == "device" else Page(name)

    assert "<script" not in page.markup


def test_a_thousand_devices_are_paged_and_quick(serve):
    serve(1_000)
    page = Page("fleet")
    page.run()
    begun = time.perf_counter()
    page.run()

    assert "1–50 of 1,000 devices" in page.text
    assert sum(len(each.value) for each in page.at.html) < 200_000
    assert time.perf_counter() - begun < 10


def test_an_unknown_device_names_the_nearest():
    assert "nearest: jetson-1, pi5-1, pi5-2" in Page("device", id="pi5-9").text


def test_a_device_shows_figures_with_units_and_where_they_came_from():
    text = Page("device", id="pi5-2").text

    assert "mJ" in text
    assert "simulated" in text
    assert "89% above" in text
    assert "right" in text


def test_a_device_shows_the_messages_that_were_refused():
    assert "not JSON: ends early" in Page("device", id="pi5-1", part="Messages").text


def test_a_deployment_is_told_from_its_first_phase_to_its_last(fake):
    rolled = next(each for each in fake.deployments if each["phase"] == "rolled_back")

    text = Page("deployments", id=rolled["id"]).text

    assert text.index("requested") < text.index("probing") < text.index("rolling back")
    assert "above the budget of 80 mJ" in text


def test_models_say_when_they_were_never_trained():
    page = Page("models")

    assert "untrained" in page.text
    assert "569" in page.text


def test_events_are_found_by_words():
    assert "above the budget of 80 mJ" in Page("events", words="rolled pi4-1").text
    assert "No event matches" in Page("events", words="unheard-of").text


def test_events_are_found_by_device_who_kind_and_time():
    assert "digits_cnn_l on pi4-1" in Page("events", device="pi4-1", who="dashboard", kind="deployment").text
    assert "No event matches" in Page("events", device="pi4-1", who="cli").text
    assert "No event matches" in Page("events", at="4000000000").text


def test_events_are_turned_page_by_page_with_the_address_kept(fake):
    for n in range(250):
        fake.add(fake.devices[0], f"m{n}", events=[{"at": float(n), "phase": "failed", "reason": ""}])
    first = Page("events", device="jetson-1")
    older = Page("events", device="jetson-1", before=str(fake.logs[199]["id"]))

    assert f"before={fake.logs[199]['id']}" in first.markup
    assert "device=jetson-1" in first.markup
    assert "m249" in first.text
    assert "m40 on" in older.text
    assert "m60 on" not in older.text


def test_a_device_shows_its_own_log_and_leads_to_what_happened_to_it():
    page = Page("device", id="pi5-1", part="Log")

    assert "model ready" in page.text
    assert "events?device=pi5-1" in page.markup


def test_refused_messages_are_listed_with_their_topic_and_the_reason():
    text = Page("events").text

    assert "malformed 3" in text
    assert "device/pi4-1/ack" in text
    assert "not JSON: ends early" in text


def test_the_dashboard_shows_sleep_in_a_word_and_a_shape_of_its_own(serve):
    fake = serve(2)
    fake.devices.append(fake_fleet.device("solar-1", "raspberry_pi_5", {}, health="asleep"))
    page = Page("fleet")

    assert "Nothing needs you now" in page.text
    assert "live or asleep (1)" in page.text
    assert "sleeps until 14:05 UTC (in 9 min)" in page.text
    assert "ew-pill rest" in page.markup
    assert "sleeps until 14:05 UTC (in 9 min)" in Page("device", id="solar-1").text
    assert "solar-1 sleeps, will apply at" in Page("deploy", model="digits_cnn_s", to="solar-1").text


def test_the_words_of_health_are_those_of_the_controller():
    from controller import fleet  # noqa: PLC0415 - heavy, and only this test needs it

    assert views.HEALTHS == fleet.HEALTHS


def test_the_table_is_sorted_and_filtered_by_what_the_address_says():
    dearest = Page("fleet", order="dearest first")
    alone = Page("fleet", type="raspberry_pi_4")

    assert dearest.markup.index('title="bbb-1">bbb-1</a><small') < dearest.markup.index('title="pi5-1">pi5-1</a><small')
    assert "1–1 of 1 device" in alone.text
    assert any(each.key == "csv-devices" for each in alone.at.get("download_button"))


def test_a_filter_is_kept_under_a_name_and_chosen_by_a_link(fake):
    page = Page("fleet", tag="line=B", order="dearest first")
    page.at.text_input(key="view-name").set_value("line B, dearest")
    page.run().click("view-save")

    assert fake.views == {"line B, dearest": {"tag": "line=B", "order": "dearest first"}}
    assert "order=dearest+first" in page.anew().markup

    page.at.selectbox(key="view-gone").set_value("line B, dearest")
    page.run().click("view-remove")
    assert fake.views == {}


def test_the_views_of_the_page_are_those_that_the_controller_keeps():
    from controller import saved_views  # noqa: PLC0415 - only this test needs it
    from dashboard import shortcuts  # noqa: PLC0415

    assert set(shortcuts.FIELDS) == saved_views.FIELDS


def test_a_reason_shows_all_devices_that_need_a_person_for_it(serve):
    serve(1_000)
    all_of_them, silent = Page("fleet"), Page("fleet", need="silent")

    assert "more: choose a reason above" in all_of_them.text
    assert silent.markup.count('class="ew-need"') == 24


def test_old_and_late_figures_are_told_apart_without_colour(serve):
    fake = serve(2)
    fake.devices += [
        fake_fleet.device("late-1", "raspberry_pi_5", {}, health="late"),
        fake_fleet.device("gone-1", "raspberry_pi_5", {}, health="offline"),
    ]
    markup = Page("fleet").markup

    assert "nowrap ew-late" in markup
    assert "nowrap ew-old" in markup


def test_a_battery_is_shown_where_a_board_has_one(fake):
    fake.find("pi5-1")["latest"] |= {"soc_pct": 71.5, "charging": False}

    assert "not charging" in Page("device", id="pi5-1").text
    assert "Battery" not in Page("device", id="pi5-2").text


@pytest.mark.parametrize("part", ["Charts", "Deployments", "Predictions", "Messages", "Log", "About"])
def test_each_part_of_a_silent_device_says_something_that_helps(part):
    page = Page("device", id="bbb-1", part=part, range="30d")

    assert "connected, but no reading for 21 min" in page.text
    assert page.at.segmented_control(key="part").value == part


@pytest.fixture(scope="module")
def crowd():
    """A controller with ten thousand devices, deployments, events and models that could be made."""
    with FakeController(10_000) as fake:
        for number in range(10_000):
            device = fake.devices[number]
            fake.add(device, "digits_cnn_s", events=[{"at": float(number), "phase": "failed", "reason": "no space"}])
        fake.listed = [fake.listed[0] | {"name": f"net_{number:05d}"} for number in range(10_000)]
        yield fake


@pytest.mark.parametrize("name", PAGES)
def test_ten_thousand_rows_are_paged_and_small_on_every_page(crowd, monkeypatch, name):
    monkeypatch.setenv("EDGEWATT_CONTROLLER_URL", crowd.url)

    page = Page(name, id="edge-0077", place="all") if name == "device" else Page(name, place="all")

    assert len(page.markup) < 300_000
    assert any(figure in page.text for figure in ("10,00", "edge-0077", "200 events", "Choose a model", "models of"))
    api.client().close()
