"""A headless Chromium for a module, and dashboards as processes for it to look at."""

import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

import dashboard
from controller.cli.readiness import answers_http, wait_until
from tests.fleet.brokers import free_port

CHROMIUM = shutil.which("chromium")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
FLAGS += ("--disable-component-update", "--disable-sync")
WIDE, PHONE = {"width": 1280, "height": 720}, {"width": 390, "height": 844}
FITS = """() => Math.max(
    document.scrollingElement.scrollWidth, document.querySelector("[data-testid=stMain]").scrollWidth
) <= innerWidth"""
ROOT = Path(dashboard.__file__).parent.parent


def pytest_collection_modifyitems(items):
    """Mark every test of this folder, and skip it where there is no browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="no chromium: apt-get install chromium"))


@contextmanager
def fake_controller(*arguments):
    """A controller that only speaks REST, in a process of its own; gives its address."""
    command = [sys.executable, "-m", "tests.dashboard.fake_controller", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().strip()
        process.terminate()


@contextmanager
def dashboard_of(controller, where):
    """A dashboard of the controller at this address; gives its own."""
    port, app = free_port(), str(Path(dashboard.__file__).with_name("app.py"))
    command = [sys.executable, "-m", "streamlit", "run", app, f"--server.port={port}", "--server.address=127.0.0.1"]
    environment = os.environ | {"EDGEWATT_CONTROLLER_URL": controller, "HOME": str(where)}
    with (where / "log").open("w") as log, subprocess.Popen(command, cwd=where, env=environment, stderr=log) as process:
        url = f"http://127.0.0.1:{port}"
        healthy = wait_until(lambda: answers_http(port, "/_stcore/health"), within_s=60)
        assert healthy, f"streamlit at {url} did not start in 60 s"
        yield url
        process.terminate()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A browser whose pages a test opens and closes."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    home = str(tmp_path_factory.mktemp("chromium"))
    with sync_api.sync_playwright() as play:
        context = play.chromium.launch_persistent_context(home, executable_path=CHROMIUM, args=list(FLAGS))
        context.set_default_timeout(30_000)
        yield context
        context.close()


def drawn(page):
    """Wait until a page is drawn: it has its title, and the app no longer runs."""
    page.locator(".ew-title").first.wait_for()
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    page.locator("[data-testid=stSkeleton]").first.wait_for(state="hidden")
    assert page.locator("[data-testid=stException]").count() == 0
    return page


def fits_on_a_phone(page):
    """Wait until nothing is wider than a narrow screen, then make it wide again."""
    page.set_viewport_size(PHONE)
    page.wait_for_function(FITS, timeout=10_000)
    page.set_viewport_size(WIDE)


def exactly(text):
    """Return what matches all of a text and not a part of it."""
    return re.compile(f"^{re.escape(text)}$")
