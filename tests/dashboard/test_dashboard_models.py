"""The Models page: what is in the store, what could be made, and how one is found among a thousand."""

import pytest

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
