"""The dashboard in a real browser: streamlit as a process, headless Chromium, a fake controller."""

import re

import pytest

from tests.browser.conftest import dashboard_of, fake_controller

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with (
        fake_controller("--devices", "5") as controller,
        dashboard_of(controller, tmp_path_factory.mktemp("streamlit")) as url,
    ):
        yield url


@pytest.fixture
def page(browser, address):
    opened = browser.new_page()
    opened.set_default_timeout(30_000)
    opened.goto(address)
    yield opened
    opened.close()


def test_the_first_page_says_what_needs_a_person(page):
    page.get_by_text("3 of 5 devices need you").wait_for()

    sync_api.expect(page.locator(".ew-need", has_text="over budget")).to_have_count(1)
    sync_api.expect(page.locator(".ew-table tbody tr")).to_have_count(5)
    assert page.locator("[data-testid=stException]").count() == 0


def test_a_count_filters_and_the_filter_is_in_the_address(page):
    page.locator("a.ew-tile", has_text="silent").click()
    page.get_by_text("1–1 of 1 device").wait_for()

    assert "health=silent" in page.url


def test_on_a_narrow_screen_the_filters_fold_and_what_they_ask_for_stays_in_sight(page, address):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{address}/?health=silent&tag=line=B")
    fields, chips = page.get_by_placeholder("Search id, board, model"), page.locator(".ew-view.on")
    sync_api.expect(chips).to_have_text(["health: silent ×", "tag: line=B ×"])
    sync_api.expect(fields).to_be_hidden()

    page.get_by_role("button", name="Filters (2)").press("Enter")
    sync_api.expect(fields).to_be_visible()
    page.get_by_role("button", name="Hide the filters").click()
    sync_api.expect(fields).to_be_hidden()
    chips.first.click()
    sync_api.expect(chips).to_have_text(["tag: line=B ×"])
    page.get_by_text("1–3 of 3 devices").wait_for()

    page.set_viewport_size({"width": 1440, "height": 900})
    sync_api.expect(fields).to_be_visible()
    sync_api.expect(page.get_by_role("button", name="Filters (1)")).to_be_hidden()


def test_over_budget_is_refused_with_an_alternative_that_one_click_takes(page):
    page.get_by_role("button", name="Ship", exact=True).click()
    page.get_by_role("menuitem", name="Deploy", exact=True).click()
    page.get_by_role("heading", name="Deploy a model").wait_for()  # until then the boxes are those of the fleet
    page.get_by_role("combobox").nth(0).fill("digits_cnn_l")
    page.get_by_role("option", name="digits_cnn_l").first.click()
    page.get_by_text("214 M MACs").wait_for()
    page.get_by_role("combobox").nth(1).fill("pi5-1")
    page.get_by_role("option", name="pi5-1").first.click()
    page.keyboard.press("Escape")
    page.get_by_text("1 device: pi5-1").wait_for()
    budget = page.get_by_label("mJ per inference", exact=True)
    budget.fill("20")
    budget.press("Enter")
    page.get_by_text(re.compile("65.4 mJ is above the budget of 20 mJ; would fit: digits_mlp")).wait_for()
    sync_api.expect(page.get_by_role("button", name=re.compile("^Deploy to"))).to_have_count(0)

    page.get_by_role("button", name=re.compile("Take digits_cnn_s instead")).click()
    page.get_by_role("button", name="Deploy to 1 device").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("pi5-1").wait_for()
    dialog.get_by_role("button", name="Deploy to 1 device").click()

    page.get_by_role("link", name="watch it").click()
    page.get_by_role("heading", name="digits_cnn_s on pi5-1").wait_for()
    assert "deployments?id=" in page.url


def test_a_link_to_a_page_works_as_the_first_request(browser, address):
    first = browser.new_page()
    first.goto(f"{address}/device?id=pi5-2&range=1h")
    first.get_by_role("heading", name="pi5-2").wait_for()
    first.get_by_text("89% above").wait_for()
    first.close()


def test_the_keyboard_reaches_the_pages_a_count_and_what_a_reason_says(page):
    page.get_by_role("button", name="Ship", exact=True).focus()
    page.keyboard.press("Enter")
    page.get_by_role("menuitem", name="Deploy", exact=True).wait_for()
    page.keyboard.press("Escape")

    page.locator("a.ew-tile", has_text="silent").focus()
    ring = "getComputedStyle(document.activeElement).outlineStyle"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    assert page.evaluate(ring) == "solid"
    page.keyboard.press("Enter")
    page.get_by_text("1–1 of 1 device").wait_for()
