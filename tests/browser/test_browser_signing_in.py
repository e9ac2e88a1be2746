"""Signing in in a real browser: a wrong token is told, the right one opens the page and lasts over links."""

import re
import subprocess
import sys

import pytest

from tests.browser.conftest import CHROMIUM, FLAGS, ROOT, dashboard_of

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
]
VERA = "ew_12345678_" + "V" * 43


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A dashboard whose controller knows one viewer."""
    command = [sys.executable, "-m", "tests.dashboard.fake_controller", "--token", VERA, "vera", "viewer"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        controller = process.stdout.readline().strip()
        with dashboard_of(controller, tmp_path_factory.mktemp("streamlit")) as url:
            yield url
        process.terminate()


@pytest.fixture
def page(address, tmp_path_factory):
    home = str(tmp_path_factory.mktemp("chromium"))
    with sync_api.sync_playwright() as play:
        context = play.chromium.launch_persistent_context(home, executable_path=CHROMIUM, args=list(FLAGS))
        opened = context.new_page()
        opened.set_default_timeout(30_000)
        opened.goto(f"{address}/device?id=pi5-1")
        yield opened
        context.close()


def sign_in(page, secret):
    page.get_by_placeholder("ew_…").fill(secret)
    page.get_by_role("button", name="Sign in").click()


def test_a_token_opens_the_page_that_was_asked_for_and_links_keep_it(page, address):
    sign_in(page, VERA.replace("V", "W"))
    sync_api.expect(page.get_by_text("That did not work")).to_be_visible()
    sync_api.expect(page.get_by_text("this token is unknown")).to_be_visible()
    sync_api.expect(page.get_by_placeholder("ew_…")).to_have_value("")
    sign_in(page, VERA)

    sync_api.expect(page.get_by_text("signed in as vera, viewer")).to_be_visible()
    sync_api.expect(page.get_by_role("heading", name="pi5-1")).to_be_visible()
    assert re.search(r"/device\?id=pi5-1$", page.url)
    sync_api.expect(page.get_by_role("button", name="Roll back")).to_have_count(0)

    page.goto(f"{address}/deploy?to=pi5-1")
    sync_api.expect(page.get_by_text("You are signed in as viewer")).to_be_visible()
    sync_api.expect(page.get_by_role("button", name=re.compile("Deploy to"))).to_have_count(0)
    assert VERA not in page.content() + page.url
    assert not [cookie for cookie in page.context.cookies() if VERA in cookie["value"]]

    page.get_by_role("button", name="Sign out").click()
    sync_api.expect(page.get_by_placeholder("ew_…")).to_be_visible()
    page.goto(address)
    sync_api.expect(page.get_by_placeholder("ew_…")).to_be_visible()
