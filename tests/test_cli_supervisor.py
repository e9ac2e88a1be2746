"""The supervisor keeps processes running, tells what happened to them, and never leaves one behind."""

import asyncio
import os
import signal
import subprocess
import sys

import psutil
import pytest

from broker.errors import ConflictError, EdgeWattError
from controller.cli.ports import is_free, next_free
from controller.cli.processes import python
from controller.cli.readiness import answers_http, wait_until
from controller.cli.supervisor import Supervisor, supervised

SLEEP = "import time; time.sleep(600)"
SERVER = """
import sys, http.server as h
h.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), h.SimpleHTTPRequestHandler).serve_forever()
"""
STUBBORN = f"""
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
{SLEEP}
"""
PARENT = f"""
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", {SLEEP!r}]).pid, flush=True)
{SLEEP}
"""


def server(name, port, **kwargs):
    return python(name, "-c", SERVER, str(port), **kwargs)


def gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.fixture
async def supervisor(tmp_path):
    said = []
    running = Supervisor(tmp_path, said.append)
    running.said = said
    yield running
    await running.stop()


async def until(condition):
    assert await asyncio.to_thread(wait_until, condition, within_s=30)


async def test_a_started_program_answers_and_ends_with_the_supervisor(supervisor, free_port):
    await supervisor.start(server("web", free_port))
    await supervisor.ready("web", lambda: answers_http(free_port, "/"), within_s=30)
    (pid,) = supervisor.pids.values()

    await supervisor.stop()

    assert gone(pid)
    assert is_free(free_port)


async def test_a_child_that_dies_is_started_once_again(supervisor, free_port):
    await supervisor.start(server("web", free_port))
    await supervisor.ready("web", lambda: answers_http(free_port, "/"), within_s=30)
    first = supervisor.pids["web"]
    os.kill(first, signal.SIGKILL)

    await until(lambda: supervisor.pids.get("web", first) != first)
    await supervisor.ready("web", lambda: answers_http(free_port, "/"), within_s=30)

    assert "web ended with code -9; starting it again" in supervisor.said[0]


async def test_a_child_that_cannot_be_kept_is_reported_with_the_end_of_its_log(supervisor):
    await supervisor.start(python("agent", "-c", "raise SystemExit('no such board')"))

    await until(lambda: len(supervisor.said) == 2)

    assert "no such board" in supervisor.said[1]
    assert "the others go on without it" in supervisor.said[1]


async def test_a_vital_child_that_cannot_be_kept_breaks_the_whole(supervisor):
    await supervisor.start(python("broker", "-c", "raise SystemExit('port in use')", vital=True))

    with pytest.raises(EdgeWattError, match="port in use"):
        await supervisor.broken()


async def test_waiting_for_a_child_that_dies_ends_with_its_log(supervisor):
    await supervisor.start(python("web", "-c", "raise SystemExit('bad settings')"))

    with pytest.raises(EdgeWattError, match="bad settings"):
        await supervisor.ready("web", lambda: False, within_s=60)


async def test_a_child_deaf_to_sigterm_is_killed(supervisor, tmp_path, monkeypatch):
    monkeypatch.setattr("controller.cli.supervisor.POLITE_S", 0.1)
    await supervisor.start(python("deaf", "-c", STUBBORN))
    await until(lambda: "deaf" in (tmp_path / "deaf.log").read_text())
    (pid,) = supervisor.pids.values()

    await supervisor.stop()

    assert gone(pid)


async def test_the_children_of_a_child_end_with_it(supervisor, tmp_path):
    await supervisor.start(python("parent", "-c", PARENT))
    await until(lambda: (tmp_path / "parent.log").read_text().strip().isdigit())
    grandchild = int((tmp_path / "parent.log").read_text())

    await supervisor.stop()

    await until(lambda: gone(grandchild))


async def test_a_story_that_fails_ends_what_it_started(tmp_path):
    seen = {}

    async def story(supervisor):
        await supervisor.start(python("sleeper", "-c", SLEEP))
        seen.update(supervisor.pids)
        raise EdgeWattError("no models")

    with pytest.raises(EdgeWattError, match="no models"):
        await supervised(tmp_path, print, story)

    assert gone(seen["sleeper"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_everything_without_an_error(tmp_path, number):
    seen = {}

    async def story(supervisor):
        await supervisor.start(python("sleeper", "-c", SLEEP))
        seen.update(supervisor.pids)
        os.kill(os.getpid(), number)

    await supervised(tmp_path, print, story)

    assert gone(seen["sleeper"])


LONELY = """
import asyncio, pathlib, sys
from controller.cli.processes import python
from controller.cli.supervisor import supervised

async def story(supervisor):
    await supervisor.start(python("sleeper", "-c", "import time; time.sleep(600)"))
    print(supervisor.pids["sleeper"], flush=True)

asyncio.run(supervised(pathlib.Path(sys.argv[1]), print, story))
"""


def test_no_orphan_is_left_when_the_supervisor_itself_is_killed(tmp_path):
    with subprocess.Popen([sys.executable, "-c", LONELY, str(tmp_path)], stdout=subprocess.PIPE, text=True) as lonely:
        child = int(lonely.stdout.readline())
        assert psutil.pid_exists(child)
        lonely.kill()

    assert wait_until(lambda: gone(child), within_s=30)


def test_a_taken_port_is_answered_with_the_next_free_one(free_port):
    assert next_free(free_port) == free_port
    assert next_free(free_port, {free_port}) > free_port


def test_no_free_port_at_all_is_said():
    with pytest.raises(ConflictError, match="no port from 65535"):
        next_free(65_535, {65_535})


async def test_a_program_that_runs_once_is_not_started_again(supervisor):
    assert await supervisor.once(python("export", "-c", "raise SystemExit(3)")) == 3
    assert supervisor.pids == {}
    assert supervisor.said == []
