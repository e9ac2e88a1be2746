"""The page of balena, over a whole controller and a fake of balena's API: boards, pins, lines, and bad days."""

from dataclasses import replace

import pytest

from controller.balena.token import Token
from dashboard import api
from tests import fake_balena
from tests.dashboard.conftest import Page
from tests.fake_balena import BETTER, SLUG, TOKEN, UUIDS
from tests.rolling_fleet import RollingFleet


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    with fake_balena.serving() as cloud:
        settings = {"balena_api_url": cloud.url, "balena_fleet": SLUG, "balena_token": Token(TOKEN)}
        fleet = RollingFleet(tmp_path_factory.mktemp("balena"), **settings)
        fleet.join("pi5-1", balena_uuid=UUIDS[0])
        with fleet.served():
            yield fleet, cloud
        fleet.store.close()


@pytest.fixture
def cloud(serve, whole, monkeypatch):
    """The fake of balena that the controller of the pages asks."""
    fleet, cloud = whole
    serve(0)  # for what it clears at the end
    cloud.reset()
    monkeypatch.setenv("EDGEWATT_CONTROLLER_URL", fleet.url)
    return cloud


@pytest.fixture
def configured(whole):
    """Let the controller be configured otherwise for a test."""
    fleet, _ = whole
    before = fleet.app.state.parts

    def change(**changes):
        fleet.app.state.parts = replace(before, balena=replace(before.balena, **changes))

    yield change
    fleet.app.state.parts = before


@pytest.mark.usefixtures("cloud")
def test_boards_of_both_sides_stand_beside_each_other():
    page = Page("balena")

    assert "1 known to both, 2 only at balena, 0 only here." in page.text
    assert page.text.index("gate") < page.text.index("belt")
    for words in ("pi5-1", "undervolted", "updating", "pinned", "the newest 4", "invalidated"):
        assert words in page.text


@pytest.mark.usefixtures("cloud")
def test_what_is_known_only_there_can_be_looked_at_alone():
    page = Page("balena", where="Only at balena")

    assert "1–2 of 2 boards" in page.text
    assert "gate" not in page.text.split("Releases")[0].split("Boards")[1]


def test_a_fleet_is_pinned_after_its_name_was_typed(cloud):
    page = Page("balena")
    page.at.selectbox(key="whom").select("")
    page.run().click("pin")
    assert "2 boards of acme/line will run release 1.1.0 (102) instead of 1.0.0" in page.at.markdown[-1].value
    assert "belt and gate" in page.text
    assert cloud.writes == []

    page.at.text_input(key="typed-name").set_value(SLUG)
    page.run().click("confirm")

    fields = {"should_be_running__release": BETTER, "should_track_latest_release": False}
    assert cloud.writes == [(f"/v7/application(slug='{SLUG}')", fields)]
    assert "accepted" in page.text
    assert "shall run 1.1.0" in page.text


def test_a_board_is_pinned_by_its_uuid(cloud):
    page = Page("balena")
    page.at.selectbox(key="whom").select(UUIDS[1])
    page.run().click("pin").click("confirm")

    assert cloud.writes == [(f"/v7/device(uuid='{UUIDS[1]}')", {"is_pinned_on__release": BETTER})]


@pytest.mark.usefixtures("cloud")
def test_the_lines_of_a_board_are_shown_newest_first():
    page = Page("balena", log="gate")

    assert page.text.index("line 2") < page.text.index("line 0")


def test_names_of_boards_are_text_in_the_page_and_in_the_question(cloud):
    cloud.tables["device"][0]["device_name"] = "<script>alert(1)</script> **bold** [x](y)"
    page = Page("balena")
    page.at.selectbox(key="whom").select(UUIDS[0])
    page.run().click("pin")

    assert "<script" not in page.markup
    assert "\\*\\*bold\\*\\* \\[x\\]" in page.at.markdown[-1].value


def test_without_a_token_the_page_says_how_to_get_one(cloud, configured):
    configured(token=None)

    page = Page("balena")

    assert "Balena is not configured" in page.text
    assert "EDGEWATT_BALENA_TOKEN" in page.text
    assert cloud.requests == []


@pytest.mark.usefixtures("cloud")
def test_without_a_fleet_it_asks_for_one(configured):
    configured(fleet="")

    assert "Which fleet?" in Page("balena").text
    assert "0 only at balena" in Page("balena", fleet="acme/empty").text


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"status": 401}, "does not know the token"),
        ({"status": 429, "headers": {"Retry-After": "90"}}, "takes no more for now"),
    ],
)
def test_a_bad_day_of_balena_is_said_and_what_is_known_stays(cloud, fault, says):
    page = Page("balena")
    cloud.faults += [fault] * 4

    page.anew()

    assert says in page.text
    stays = "gate" in page.text
    assert stays == (fault.get("status") != 401)


def test_without_a_controller_it_says_what_to_do(monkeypatch, free_port, serve):
    serve(0)
    monkeypatch.setenv("EDGEWATT_CONTROLLER_URL", f"http://127.0.0.1:{free_port}")
    page = Page("balena")

    assert "appear here as soon as the controller answers" in page.text
    assert "not configured" not in page.text
    api.client().close()
