"""Secrets are nowhere that people look: not in logs, outputs, command lines or the database."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import streamlit as st

from controller.access.secret import new_secret
from dashboard import api
from tests.dashboard.conftest import Page
from tests.fleet.controllers import RunningController

WRONG = new_secret()


@pytest.fixture
def running(amqtt, tmp_path):
    """A controller as a process, which made its first token itself."""
    started = RunningController(amqtt.url, tmp_path / "data", arguments=("--first-token",), begin=as_a_command)
    yield started
    started.stop()


def as_a_command(argv, log, environment):
    """Begin it as a person does: its own words are what others see of it."""
    with log.open("ab") as output:
        return subprocess.Popen(argv, stdout=output, stderr=output, env=environment)


def edgewatt(running, *words, **environment):
    """Run a command line as a process of its own; return all that it said."""
    known = os.environ | {"EDGEWATT_CONTROLLER_URL": running.url, "EDGEWATT_CONFIG": str(running.folder / "none.toml")}
    argv = [sys.executable, "-m", "controller.cli", *words]
    ended = subprocess.run(argv, check=False, capture_output=True, text=True, env=known | environment)
    return ended.stdout + ended.stderr


def test_a_secret_is_in_its_file_and_nowhere_else(running, tmp_path, monkeypatch, caplog, capfd):
    file = running.folder / "security" / "admin.token"
    secret, made = file.read_text().strip(), tmp_path / "ci.token"
    said = edgewatt(running, "whoami", EDGEWATT_TOKEN=secret)
    assert "admin" in said
    said += edgewatt(running, "tokens", "create", "ci", "--out", str(made), EDGEWATT_TOKEN_FILE=str(file))
    said += edgewatt(running, "whoami", "--json", EDGEWATT_TOKEN=WRONG)
    with httpx.Client(base_url=running.url) as http:
        query = f"device=pi5-1&expires=1800000000&signature={WRONG}"
        assert http.get(f"/models/sha256/{'0' * 64}?{query}").status_code == 403
        assert http.get(f"/api/status?token={secret}").status_code == 401
        assert http.get("/api/nowhere", headers={"Authorization": f"Bearer {secret}"}).status_code == 404
    monkeypatch.setenv("EDGEWATT_CONTROLLER_URL", running.url)
    page = Page("fleet")
    for word in (WRONG, secret):
        page.at.text_input(key="token").set_value(word)
        page.click("enter")
    assert "signed in as" in page.text
    st.cache_data.clear()
    st.cache_resource.clear()
    api.forget_answers()

    command_line = Path(f"/proc/{running._process.pid}/cmdline").read_text()
    database = b"".join(each.read_bytes() for each in running.folder.glob("controller.db*"))
    seen = "\n".join((said, running.log, caplog.text, *capfd.readouterr(), command_line, page.markup, page.text))
    assert "a sign-in failed" in running.log
    for each in (secret, made.read_text().strip(), WRONG):
        random = each.split("_", 2)[2]
        assert random not in seen
        assert random.encode() not in database
    assert "signature=" not in seen
