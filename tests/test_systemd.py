"""What systemd hears of controller and agent: ready, alive only while work goes on, stopping."""

import asyncio
import itertools
import os
import signal
import socket
import subprocess
import sys

import pytest

from broker.systemd import Systemd
from tests.fleet.brokers import free_port

WITHIN_S = 30


class Manager:
    """The socket on which systemd listens."""

    def __init__(self, address):
        self.address = address
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._door.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self._door.settimeout(WITHIN_S)

    def next(self, within_s=WITHIN_S):
        """The next message as lines; None when there was none in time."""
        self._door.settimeout(within_s)
        try:
            return self._door.recv(4096).decode().splitlines()
        except TimeoutError:
            return None

    def until(self, line):
        while line not in (said := self.next() or pytest.fail(f"{line} was not said")):
            pass
        return said

    def pending(self):
        """What was said already."""
        self._door.setblocking(False)
        said = []
        try:
            while True:
                said.append(self._door.recv(4096).decode().splitlines()[0])
        except BlockingIOError:
            return said

    def close(self):
        self._door.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    address = str(tmp_path / "notify") if request.param == "path" else f"@edgewatt-test-{os.getpid()}"
    listening = Manager(address)
    yield listening
    listening.close()


@pytest.fixture
def at_path(tmp_path):
    listening = Manager(str(tmp_path / "notify"))
    yield listening
    listening.close()


def test_the_environment_tells_where_and_how_often():
    assert Systemd.of({}) == Systemd()
    assert Systemd.of({"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "3000000"}).watchdog_s == 3.0
    mine = {"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}
    assert Systemd.of(mine).watchdog_s == 3.0
    assert Systemd.of(mine | {"WATCHDOG_PID": "1"}).watchdog_s is None
    assert Systemd.of(mine | {"WATCHDOG_USEC": "soon"}).watchdog_s is None


async def test_ready_alive_and_stopping_are_said_in_this_order(manager):
    systemd = Systemd(address=manager.address, watchdog_s=0.03)
    async with systemd.attended(itertools.count().__next__, lambda: "3 devices"):
        ready = await asyncio.to_thread(manager.next)
        alive = [await asyncio.to_thread(manager.next) for _ in range(3)]

    assert ready == ["READY=1", "STATUS=3 devices"]
    assert alive == [["WATCHDOG=1", "STATUS=3 devices"]] * 3
    assert manager.pending()[-1] == "STOPPING=1"


async def test_without_progress_nothing_is_said_until_there_is_some(manager):
    done, looked = [1], asyncio.Semaphore(0)

    def progress():
        looked.release()
        return done[0]

    async with Systemd(address=manager.address, watchdog_s=0.003).attended(progress):
        for _ in range(20):
            await looked.acquire()
        stuck = manager.pending()
        done[0] = 2
        for _ in range(5):
            await looked.acquire()
        freed = manager.pending()

    assert stuck == ["READY=1", "WATCHDOG=1"]
    assert freed == ["WATCHDOG=1"]


async def test_a_manager_that_has_gone_or_never_was_changes_nothing(manager):
    manager.close()
    for systemd in (Systemd(), Systemd(address=manager.address), Systemd(address="/nowhere/at/all")):
        async with systemd.attended(lambda: 1):
            await asyncio.sleep(0)


CONTROLLER = ("-m", "controller", "--broker", "{broker}", "--port", "{port}", "--data", "{data}")
AGENT = ("-m", "edge_agent", "run", "--broker", "{broker}", "--id", "pi5-1", "--data", "{data}", "--simulate")


@pytest.mark.parametrize("argv", [CONTROLLER, AGENT], ids=["controller", "agent"])
def test_a_process_that_hangs_falls_silent_and_one_that_is_stopped_says_so(at_path, tmp_path, argv):
    told = {"broker": f"mqtt://127.0.0.1:{free_port()}", "port": free_port(), "data": tmp_path / "data"}
    environment = os.environ | {"NOTIFY_SOCKET": at_path.address, "WATCHDOG_USEC": "300000"}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *(word.format(**told) for word in argv)], env=environment, stdout=log, stderr=log
        )
    try:
        ready = at_path.until("READY=1")
        at_path.until("WATCHDOG=1")
        process.send_signal(signal.SIGSTOP)
        at_path.pending()
        hanging = at_path.next(within_s=0.5)
        process.send_signal(signal.SIGCONT)
        at_path.until("WATCHDOG=1")
        process.terminate()
        at_path.until("STOPPING=1")
        assert process.wait(timeout=WITHIN_S) == 0
    finally:
        process.kill()
        process.wait()

    assert ready[1].startswith("STATUS=")
    assert hanging is None


SLOW = """\
import sys
from controller import program
class Slow(program.Store):
    def __init__(self, *given):
        open("{gate}").read()
        super().__init__(*given)
program.Store = Slow
sys.exit(program.main())
"""


def test_an_upgrade_of_the_database_that_takes_long_is_no_hanging(at_path, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    words = (
        "--broker",
        f"mqtt://127.0.0.1:{free_port()}",
        "--port",
        str(free_port()),
        "--data",
        str(tmp_path / "data"),
    )
    launcher = tmp_path / "slow.py"
    launcher.write_text(SLOW.format(gate=gate))
    environment = os.environ | {"NOTIFY_SOCKET": at_path.address, "WATCHDOG_USEC": "300000"}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, str(launcher), *words], env=environment, stdout=log, stderr=log)
    try:
        at_path.until("STATUS=opening the database")
        opening = [at_path.next() for _ in range(3)]
        gate.write_text("open")
        at_path.until("STATUS=0 devices, broker not connected: not yet")
    finally:
        process.kill()
        process.wait()

    assert opening == [["WATCHDOG=1", "STATUS=opening the database"]] * 3
