"""The Models page: what is in the store, what could be made, and how one is found among a thousand."""

import pytest

from controller.api.examples import recorded
from tests.dashboard.conftest import Page

pytestmark = pytest.mark.usefixtures("fake")


def test_at_first_only_what_is_in_the_store_is_shown():
    text = Page("models").text

    assert "1–4 of 4 models" in text
    assert "digits_cnn_s" in text
    assert "resnet18" not in text
    assert "See those that could be made, too" in text


def test_the_address_asks_for_all_and_says_what_is_not_stored():
    page = Page("models", place="all")

    assert "1–7 of 7 models" in page.text
    assert page.text.count("not stored") == 3
    assert page.text.index("digits_cnn_s") < page.text.index("resnet18")


def test_an_accuracy_says_on_hover_who_published_it():
    page = Page("models", place="well known")

    assert 'title="timm results, resnet18.fb_swsl_ig1b_ft_in1k at 224"' in page.markup
    assert "digits" not in page.text


def test_a_stored_model_shows_its_format_with_the_file_on_hover():
    assert 'title="1.3 MB, SHA-256 ' in Page("models", find="digits_cnn_s").markup


@pytest.mark.parametrize(
    ("query", "shown", "hidden"),
    [
        ({"place": "all", "family": "resnet"}, "resnet10t", "mobilenetv3"),
        ({"place": "all", "find": "MOBILENETV3"}, "mobilenetv3_small_100", "resnet18"),
    ],
)
def test_the_address_narrows_the_catalogue(query, shown, hidden):
    text = Page("models", **query).text

    assert shown in text
    assert hidden not in text


def test_the_most_accurate_can_come_first():
    text = Page("models", place="all", sort="most accurate").text

    assert text.index("digits_cnn_l") < text.index("resnet18") < text.index("mobilenetv3_small_100")


def test_a_search_in_the_store_that_finds_nothing_says_where_else_to_look():
    text = Page("models", find="resnet18").text

    assert "No model matches" in text
    assert "Choose `all`" in text


def test_a_thousand_models_are_paged_by_the_controller(fake):
    fake.listed = [fake.listed[0] | {"name": f"net_{number:04d}"} for number in range(1_000)]

    first, last = Page("models", place="all"), Page("models", place="all", sheet="11")

    assert "1–100 of 1,004 models" in first.text
    assert "1,001–1,004 of 1,004 models" in last.text
    assert len(first.markup) < 300_000


def test_what_is_not_stored_is_predicted_too():
    page = Page("models", place="all", board="raspberry_pi_5", find="resnet18")

    assert "452–658  mJ" in page.text


def test_a_model_that_is_not_stored_can_be_chosen_for_a_deployment():
    page = Page("deploy", model="resnet18", to="pi5-1")

    assert "not stored: it is made first" in page.text
    assert page.at.selectbox(key="model").value == "resnet18"


def test_a_name_that_nobody_knows_is_not_offered():
    assert Page("deploy", model="resnet19").at.selectbox(key="model").value is None


def test_a_model_is_put_away_after_a_question_and_says_where_it_is_in_use(fake):
    fake.find("bbb-1")["health"] = "offline"
    page = Page("models")
    assert "5 devices" in page.text
    assert "1 offline" in page.text

    page.at.selectbox(key="away").set_value("digits_mlp")
    page.run().click("archive")
    assert fake.writes == []
    page.click("confirm")

    assert fake.writes == [("POST", "/api/models/archive", {"model_name": "digits_mlp", "undo": False})]


def figure(value, devices=None, measurements=None):
    return None if value is None else {"value": value, "devices": devices, "measurements": measurements}


def change(quantity, kind, figures, better, sentence):
    old, new = figures
    known = {"device_type": None if kind == "told" else "raspberry_pi_5", "change_percent": 0.0}
    return known | {"quantity": quantity, "kind": kind, "old": old, "new": new, "better": better, "sentence": sentence}


@pytest.fixture
def mine(fake):
    """The model `mine` in two versions, the newer one measured; as REST documents them."""
    (newer,) = recorded()["GET /api/models/named/{name}/versions"]["versions"][:1]
    told = [
        change("energy_mj", "measured", (figure(10.0, 2, 5), figure(8.0, 1, 1)), True, "20 % less energy: better"),
        change("energy_mj", "simulated", (figure(9.0, 3, 3), None), None, "only the old one is known"),
        change("energy_mj", "predicted", (figure(7.0), figure(7.0)), None, "the same"),
        change("top1_pct", "told", (figure(91.0), figure(90.0)), False, "1.1 % less accurate: worse"),
    ]
    newer |= {"sha256": "2" * 64, "promoted": False, "previous_sha256": "1" * 64, "changes": told}
    newer["runs"] = {"live": 2, "offline": 1}
    older = newer | {"sha256": "1" * 64, "changes": [], "previous_sha256": None, "runs": {}}
    fake.versions["mine"] = {"means": "the newest file of each format, of 2 versions", "versions": [newer, older]}
    return fake.versions["mine"]


@pytest.mark.usefixtures("mine")
def test_a_model_shows_its_versions_and_what_the_newer_one_costs_kind_by_kind():
    page = Page("models", model="mine")

    assert "mine means the newest file of each format, of 2 versions" in page.text
    assert "3 devices" in page.text
    assert "1 offline" in page.text
    assert "22222222 beside 11111111" in page.text
    assert "20 % less energy: better" in page.text
    assert "2 devices, 5 measurements → 1 device, 1 measurement" in page.text
    assert [page.text.count(kind) for kind in ("only the old one is known", "less accurate: worse")] == [1, 1]
    assert 'href="models?model=digits_cnn_s"' in Page("models").markup


@pytest.mark.usefixtures("mine")
def test_promoting_a_version_says_first_what_it_changes_and_sends_no_more_than_that(fake):
    page = Page("models", model="mine")
    page.at.selectbox(key="version").select("1" * 64)
    page.run().click("promote")
    assert "no device is changed by that. Deploy or roll out" in page.text
    page.click("confirm")

    assert [(path, body) for _, path, body in fake.writes if not body["dry_run"]] == [
        ("/api/models/promote", {"model_name": "mine", "version": "1" * 64, "undo": False, "dry_run": False})
    ]
    assert "promoted" in Page("models", model="mine").text
    assert Page("models", model="mine").has("button", "unpromote")


def test_a_version_that_may_not_be_promoted_and_an_unknown_model_are_told_in_a_sentence(mine):
    mine["versions"][1]["sha256"] = "bad0" * 16
    page = Page("models", model="mine")
    page.at.selectbox(key="version").select("bad0" * 16)

    assert "its content is damaged" in page.run().click("promote").text
    assert "not in the store" in Page("models", model="nobody").text
