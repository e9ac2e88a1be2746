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
    told = ("--devices-broker", secured.url)
    running = RunningController(secured.url, tmp_path / "data", arguments=told)
    yield running
    running.kill()


@pytest.fixture
def agent(controller, tmp_path):
    """A device that fetched its files with a token; it runs only what the fleet's key signed."""
    token, folder = tmp_path / "token", tmp_path / "device"
    token.write_text(controller.post("/api/devices/pi5-1/enroll", token=True).json()["token"])
    argv = [sys.executable, "-m", "edge_agent", "enroll", "--controller", controller.url, "--into", str(folder)]
    subprocess.run([*argv, "--token-file", str(token)], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    argv = [sys.executable, "-m", "edge_agent", "run", "--settings", str(folder / "agent.toml"), "--simulate"]
    argv += ["--data", str(folder / "data"), "--device-type", "raspberry_pi_5", "--interval", "1", "--rate", "20"]
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


def test_a_device_enrolls_deploys_is_shut_out_and_no_secret_is_told(secured, controller, agent, tmp_path):
    assert wait_until(lambda: live(controller), within_s=30), (tmp_path / "device" / "log").read_text()

    answer = controller.post("/api/deploy", device_id="pi5-1", model_name="digits_cnn_s").json()
    deployment = answer["deployment_id"]
    ended = wait_until(lambda: controller.phase(deployment) == "succeeded", within_s=40)

    assert ended, controller.get(f"/api/deployments/{deployment}").json()
    status = controller.get("/api/status").text
    events = controller.get("/api/logs").text
    secrets = [path.read_text().strip() for path in secured.security.root.glob("*.password")]
    secrets += [(tmp_path / name).read_text().strip() for name in ("device/password", "token")]
    secrets += [secured.security.admin_token.read_text().strip(), secured.security.ca_key.read_text().splitlines()[1]]
    said = told(tmp_path, secured.pid, controller._process.pid, agent.pid) + status + events
    assert [secret for secret in secrets if secret in said] == []
    log = tmp_path / "device" / "log"
    revoked = controller.post("/api/devices/pi5-1/revoke").json()
    assert (revoked["was_enrolled"], revoked["broker"]["done"]) == (True, True)
    assert wait_until(lambda: "does not let the user 'pi5-1' in" in log.read_text(), within_s=20), log.read_text()
    assert [secret for secret in secrets if secret in log.read_text()] == []
    assert controller.stop() == 0
