"""The normal life of a device under TLS, users and rights, by real processes; no secret is told to anybody."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from controller.cli.readiness import wait_until
from tests.conftest import NO_MOSQUITTO
from tests.fleet.agent_process import ROOT
from tests.fleet.controllers import RunningController
from tests.fleet.secured import SecuredBroker

pytestmark = NO_MOSQUITTO

PROC = ("cmdline", "environ")


@pytest.fixture
def secured(tmp_path):
    running = SecuredBroker(tmp_path / "data")
    yield running
    running.kill()


@pytest.fixture
def controller(secured, tmp_path):
    running = RunningController(secured.url, tmp_path / "data")
    yield running
    running.kill()


@pytest.fixture
def agent(secured, tmp_path):
    """A device with its settings file; it runs only what the fleet's key signed."""
    [who] = secured.add("pi5-1")
    folder = tmp_path / "device"
    folder.mkdir()
    (folder / "password").write_text(who.password)
    (folder / "agent.toml").write_text(
        f'id = "pi5-1"\nusername = "pi5-1"\nbroker = "{secured.url}"\npassword_file = "password"\n'
        f'ca_file = "{who.ca_file}"\nverify_key = "{secured.security.verify_key}"\ndata = "{folder / "data"}"\n'
        'device_type = "raspberry_pi_5"\nsimulate = true\ninterval_s = 1\nrate = 20\n'
    )
    argv = [sys.executable, "-m", "edge_agent", "run", "--settings", str(folder / "agent.toml")]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(argv, stderr=log, stdout=log, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    yield process
    process.kill()
    process.wait(20)


def live(controller):
    return controller.get("/api/devices/pi5-1").json().get("device", {}).get("health") == "live"


def told(tmp_path, *processes):
    """Return all that logs, settings in memory and command lines say."""
    logs = [path.read_text(errors="replace") for path in tmp_path.rglob("*log") if path.is_file()]
    lines = [Path(f"/proc/{pid}/{what}").read_text(errors="replace") for pid in processes for what in PROC]
    return "\n".join([*logs, *lines])


def test_a_device_joins_deploys_and_succeeds_and_no_secret_is_told(secured, controller, agent, tmp_path):
    assert wait_until(lambda: live(controller), within_s=30), (tmp_path / "device" / "log").read_text()

    answer = controller.post("/api/deploy", device_id="pi5-1", model_name="digits_cnn_s").json()
    deployment = answer["deployment_id"]
    ended = wait_until(lambda: controller.phase(deployment) == "succeeded", within_s=40)

    assert ended, controller.get(f"/api/deployments/{deployment}").json()
    status = controller.get("/api/status").text
    events = controller.get("/api/logs").text
    secrets = [path.read_text().strip() for path in secured.security.root.glob("*.password")]
    secrets += [(tmp_path / "device" / "password").read_text(), secured.security.ca_key.read_text().splitlines()[1]]
    said = told(tmp_path, secured.pid, controller._process.pid, agent.pid) + status + events
    assert [secret for secret in secrets if secret in said] == []
    assert controller.stop() == 0
