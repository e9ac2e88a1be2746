"""`edgewatt demo` as a person runs it: everything comes up, the tutorial works, and nothing is left behind."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from controller.cli.ports import is_free
from controller.cli.readiness import answers_http, wait_until
from controller.client import Client
from tests.conftest import NO_MOSQUITTO, NO_NATS
from tests.fleet.brokers import free_port

ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent
BLOCK = re.compile(r"<!-- run(?:: (?P<rules>[^>]*?))? -->\n```sh\n(?P<script>.*?)^```", re.DOTALL | re.MULTILINE)
SHIM = '#!/bin/sh\nexec {program} -p {port} "$@"\n'


class Demo:
    """A running `edgewatt demo`; `report` is what it printed when everything was up."""

    def __init__(self, data, *options):
        self.ports = free_port(), free_port(), free_port()
        names = ("--port", "--mqtt-port", "--dashboard-port")
        ports = [word for name, port in zip(names, self.ports, strict=True) for word in (name, str(port))]
        words = [sys.executable, "-m", "controller.cli", "demo", "--json", "--data", str(data), *ports, *options]
        self.data = data
        self._talk = (data.parent / f"{data.name}-talk.txt").open("w+")
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=self._talk, text=True)
        line = self.process.stdout.readline()
        assert line, self.talk
        self.report = json.loads(line)

    @property
    def talk(self):
        return Path(self._talk.name).read_text()

    @property
    def children(self):
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, *words):
        return next(each for each in self.children if set(words) <= set(each.cmdline()))

    def end(self, number=signal.SIGINT):
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(timeout=60)
        self.process.stdout.close()
        self._talk.close()
        return code


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    running = Demo(tmp_path_factory.mktemp("demo") / "data")
    yield running
    running.end()


@pytest.fixture(scope="module")
def environment(demo, tmp_path_factory):
    """The tutorial's shell: our commands first, and clients that find the demo's port by themselves."""
    shims = tmp_path_factory.mktemp("bin")
    for name in ("mosquitto_pub", "mosquitto_sub"):
        if program := shutil.which(name):
            shim = shims / name
            shim.write_text(SHIM.format(program=program, port=demo.ports[1]))
            shim.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{BIN}:{shims}:{os.environ['PATH']}",
        "EDGEWATT_CONTROLLER_URL": demo.report["controller_url"],
        "EDGEWATT_BROKER_URL": demo.report["broker_url"],
    }


def tutorial():
    for match in BLOCK.finditer((ROOT / "docs/tutorial.md").read_text()):
        rules = match["rules"] or ""
        needs = re.search(r"needs (\w+)", rules)
        missing = needs and not shutil.which(needs[1])
        marks = [pytest.mark.skipif(bool(missing), reason=f"{needs and needs[1]} is not installed")]
        exit_code = int((re.search(r"exit (\d+)", rules) or [0, 0])[1])
        says = re.findall(r'says "([^"]+)"', rules)
        yield pytest.param(match["script"], exit_code, says, marks=marks, id=match["script"].splitlines()[0][:60])


def test_every_device_is_live_and_the_time_to_the_first_is_told(demo):
    assert sorted(demo.report["live"]) == sorted(demo.report["devices"])
    assert demo.report["first_live_s"] > 0
    assert "first live device after" in demo.talk


def test_the_dashboard_answers_at_the_printed_address(demo):
    assert demo.report["dashboard_url"].endswith(str(demo.ports[2]))
    assert answers_http(demo.ports[2], "/_stcore/health")


def test_each_device_comes_to_run_its_first_model(demo):
    with Client(demo.report["controller_url"]) as client:
        assert wait_until(lambda: all(device["active"] for device in client.devices()["devices"]), within_s=90), (
            client.deployments()
        )


def test_the_trial_fits_on_one_device_and_is_refused_on_the_other(demo):
    trial = demo.report["trial"]
    assert trial, demo.talk
    with Client(demo.report["controller_url"]) as client:
        told = [
            client.deploy(trial[name], trial["model"], max_energy_mj=trial["budget_mj"], dry_run=True)["verdict"]
            for name in ("fits_on", "refused_on")
        ]

    assert [verdict["allowed"] for verdict in told] == [True, False]
    assert told[1]["would_fit"]


@pytest.mark.parametrize(("script", "exit_code", "says"), list(tutorial()))
def test_the_tutorial_works(environment, demo, script, exit_code, says):
    done = subprocess.run(
        ["bash", "-ec", script], env=environment, capture_output=True, text=True, timeout=180, check=False
    )

    assert done.returncode == exit_code, done.stdout + done.stderr + demo.talk
    for words in says:
        assert words in done.stdout + done.stderr


def test_an_agent_that_is_killed_comes_back(demo):
    killed = demo.child("bbb-1")
    killed.kill()

    assert wait_until(lambda: "bbb-1 ended with code -9; starting it again" in demo.talk, within_s=30)
    with Client(demo.report["controller_url"]) as client:
        assert wait_until(lambda: client.device("bbb-1")["device"]["health"] == "live", within_s=60)


def test_another_run_on_the_same_folder_is_refused(demo):
    words = [sys.executable, "-m", "controller.cli", "demo", "--data", str(demo.data)]

    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert "another EdgeWatt runs on" in done.stderr


def test_ctrl_c_ends_every_process_and_says_where_the_data_are(demo):
    children = demo.children
    assert len(children) == 8

    code = demo.end()

    assert code == 0
    assert [child for child in children if child.is_running()] == []
    assert all(is_free(port) for port in demo.ports)
    assert f"the data are in {demo.data}" in Path(demo._talk.name).read_text()


def test_a_killed_supervisor_leaves_nothing_behind(tmp_path):
    running = Demo(tmp_path / "data", "--devices", "1", "--no-dashboard")
    children = running.children

    running.end(signal.SIGKILL)

    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []


def test_a_taken_port_is_told_and_another_is_used(tmp_path):
    with ExitStack() as ending:
        first = Demo(tmp_path / "one", "--devices", "1", "--no-dashboard")
        ending.callback(first.end)
        port, mqtt_port, _ = first.ports
        options = ("--devices", "1", "--no-dashboard", "--port", str(port), "--mqtt-port", str(mqtt_port))
        second = Demo(tmp_path / "two", *options)
        ending.callback(second.end)

        assert f"port {port} is taken; using" in second.talk
        assert second.report["controller_url"] != first.report["controller_url"]
        assert second.report["live"] == ["jetson-1"]


@pytest.mark.parametrize("kind", [pytest.param("mosquitto", marks=NO_MOSQUITTO), pytest.param("nats", marks=NO_NATS)])
def test_another_broker_can_carry_the_demo(tmp_path, kind):
    running = Demo(tmp_path / "data", "--devices", "1", "--no-dashboard", "--broker", kind)
    try:
        assert running.report["broker"] == kind
        assert f"broker: {kind}" in running.talk
        assert running.report["live"] == ["jetson-1"]
    finally:
        assert running.end(signal.SIGTERM) == 0
