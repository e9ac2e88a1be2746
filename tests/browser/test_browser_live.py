"""A whole fleet before one's eyes: broker, controller, agents and dashboard as processes, and a person who clicks.

The tests are one story, told in their order over one fleet.
"""

import re
import subprocess
import sys

import pytest

from controller.cli.readiness import wait_until
from controller.client import Client
from tests.browser.conftest import dashboard_of, drawn, exactly, fits_on_a_phone
from tests.fleet.brokers import MOSQUITTO, RunningBroker
from tests.fleet.controllers import RunningController

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
SMALL, LARGE = "digits_cnn_s", "digits_cnn_l"
WITHIN_MS = 60_000


class Fleet:
    """The processes, and how to begin and end an agent."""

    def __init__(self, folder):
        self.folder, self.agents = folder, {}
        self.broker = RunningBroker("mosquitto" if MOSQUITTO else "amqtt", folder)
        self.launcher = ("-m", "tests.browser.impatient_controller")
        self.controller = RunningController(self.broker.url, folder / "controller", launcher=self.launcher)
        self.client = Client(self.controller.url, timeout=20.0)

    def join(self, device_id, line, kind="raspberry_pi_5"):
        where = ("--broker", self.broker.url, "--data", str(self.folder / device_id))
        argv = ("-m", "edge_agent", "run", "--id", device_id, "--device-type", kind, "--simulate")
        pace = ("--tag", f"line={line}", "--interval", "0.5", "--rate", "4")
        with (self.folder / f"{device_id}.log").open("w") as log:
            self.agents[device_id] = subprocess.Popen([sys.executable, *argv, *where, *pace], stdout=log, stderr=log)

    def live(self):
        return {each["id"] for each in self.client.devices(health="live")["devices"]}

    def end(self):
        for each in self.agents.values():
            each.kill()
            each.wait()
        self.client.close()
        self.controller.kill()
        self.broker.kill()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    whole = Fleet(tmp_path_factory.mktemp("live"))
    yield whole
    whole.end()


@pytest.fixture(scope="module")
def address(fleet, tmp_path_factory):
    with dashboard_of(fleet.controller.url, tmp_path_factory.mktemp("streamlit")) as url:
        yield url


@pytest.fixture
def page(browser, address):
    opened = browser.new_page()
    opened.set_default_timeout(WITHIN_MS)
    opened.goto(address)
    yield drawn(opened)
    opened.close()


def confirm(page, deed):
    page.get_by_role("button", name=exactly(deed)).first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name=exactly(deed)).wait_for()
    return dialog


def test_an_empty_fleet_says_how_to_begin_and_a_device_that_registers_appears_by_itself(page, fleet):
    page.get_by_text("No devices yet").wait_for()
    page.get_by_text("edgewatt demo").first.wait_for()

    fleet.join("pi-1", "A")
    fleet.join("pi-2", "A")

    live = page.locator("a.ew-tile", has_text="live").locator("b")
    sync_api.expect(live).to_have_text("2", timeout=WITHIN_MS)
    page.locator(".ew-table tr", has_text="pi-2").wait_for()


def test_a_deployment_within_its_budget_is_watched_to_its_end(page, fleet, address):
    page.goto(f"{address}/deploy?model={SMALL}&to=pi-1&energy_mj=500")
    confirm(drawn(page), "Deploy to 1 device").get_by_role("button", name="Deploy to 1 device").click()

    page.get_by_role("link", name="watch it").click()
    page.get_by_role("heading", name=f"{SMALL} on pi-1").wait_for()
    page.locator(".ew-pill", has_text=exactly("succeeded")).wait_for()
    assert fleet.client.deployments(device_id="pi-1")["deployments"][0]["phase"] == "succeeded"


def test_above_the_budget_nothing_is_sent_and_one_click_takes_what_would_fit_to_its_end(page, fleet, address):
    high_mj = {name: fleet.client.deploy("pi-2", name, dry_run=True)["verdict"]["high_mj"] for name in (SMALL, LARGE)}
    assert high_mj[SMALL] < high_mj[LARGE]
    page.goto(f"{address}/deploy?model={LARGE}&to=pi-2&energy_mj={high_mj[SMALL] * 1.02:.4g}")
    page.locator(".ew-verdict", has_text="above the budget").wait_for()
    sync_api.expect(page.get_by_role("button", name=re.compile("^Deploy to"))).to_have_count(0)

    page.get_by_role("button", name=re.compile(f"^Take {SMALL} instead")).click()
    confirm(page, "Deploy to 1 device").get_by_role("button", name="Deploy to 1 device").click()

    page.get_by_text("1 of 1 accepted").first.wait_for()
    page.get_by_role("link", name="watch it").click()
    page.get_by_role("heading", name=f"{SMALL} on pi-2").wait_for()
    page.locator(".ew-pill", has_text=exactly("succeeded")).wait_for()
    (made,) = fleet.client.deployments(device_id="pi-2")["deployments"]
    assert (made["model"], made["phase"]) == (SMALL, "succeeded")


def test_a_device_that_joins_between_choosing_and_confirming_is_not_touched(page, fleet, address):
    page.goto(f"{address}/deploy?model=digits_mlp&tagged=line=A")
    dialog = confirm(drawn(page), "Deploy to 2 devices")
    shown = dialog.locator(".ew-tag").all_inner_texts()
    fleet.join("pi-0", "A")
    assert wait_until(lambda: "pi-0" in fleet.live(), within_s=60)

    dialog.get_by_role("button", name="Deploy to 2 devices").click()
    page.get_by_text("2 of 2 accepted").first.wait_for()

    sent = [each["device_id"] for each in fleet.client.deployments(q="digits_mlp")["deployments"]]
    assert sorted(sent) == sorted(shown) == ["pi-1", "pi-2"]


def test_a_rollout_is_paused_resumed_and_aborted(page, fleet, address):
    made = fleet.client.make_rollout(LARGE, device_ids=["pi-0", "pi-1", "pi-2"], waves=["1", "100%"], watch_s=600.0)
    page.goto(f"{address}/rollouts?id={made['rollout_id']}")

    for button, deed, phase in (("Pause", "Pause", "paused"), ("Resume", "Go on", "running")):
        page.get_by_role("button", name=exactly(button)).click()
        page.get_by_role("dialog").get_by_role("button", name=exactly(deed)).click()
        page.locator(".ew-title .ew-pill", has_text=exactly(phase)).wait_for()
    page.get_by_role("button", name=exactly("Abort")).click()
    name = page.get_by_role("dialog").get_by_label(f"Type {LARGE} to confirm")
    name.fill(LARGE)
    name.press("Enter")
    page.get_by_role("dialog").get_by_role("button", name=exactly("Abort")).click()

    page.locator(".ew-title .ew-pill", has_text=exactly("aborted")).wait_for()
    fits_on_a_phone(page)
    assert fleet.client.rollout(made["rollout_id"])["rollout"]["phase"] == "aborted"


def test_a_killed_device_is_late_and_then_offline_with_the_age_of_its_reading(page, fleet):
    row = page.locator(".ew-table tr", has_text="pi-0")
    row.locator(".ew-pill", has_text=exactly("live")).wait_for()
    fleet.agents["pi-0"].kill()

    row.locator(".ew-pill", has_text=exactly("late")).wait_for()
    sync_api.expect(row).to_contain_text(re.compile(r"\d+ s ago"))
    row.locator(".ew-pill", has_text=exactly("offline")).wait_for()
    sync_api.expect(row).to_contain_text(re.compile(r"\d+ s ago"))
    need = page.locator(".ew-need", has_text="pi-0")
    sync_api.expect(need).to_contain_text("connection lost")
    sync_api.expect(need).to_contain_text(re.compile(r"for \d+ s.*reading \d+ s ago", re.DOTALL))


def test_without_a_controller_the_last_good_data_stay_with_their_age_and_it_recovers_by_itself(page, fleet):
    page.locator(".ew-table tr", has_text="pi-1").wait_for()
    fleet.controller.kill()

    banner = page.locator(".ew-note", has_text="No fresh answer from the controller")
    banner.wait_for()
    sync_api.expect(banner).to_contain_text("What you see was said")
    sync_api.expect(page.locator(".ew-table tr", has_text="pi-1")).to_have_count(1)

    fleet.controller.start(fleet.launcher)
    banner.wait_for(state="hidden")
    page.locator(".lamp", has_text="controller answers").wait_for()
