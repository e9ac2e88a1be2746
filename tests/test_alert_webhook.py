"""Notices of alerts to a receiver outside: posted in order, again until taken, never in the way; real HTTP."""

import asyncio
import contextlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from broker.errors import InvalidError
from controller.alerts.notices import GIVEN_UP_S, MOST, Notices
from controller.alerts.webhook import Webhook, place
from controller.lives import begin
from controller.settings import Settings
from controller.storage.store import Store
from tests.alerting import AlertFleet

WITHIN_S = 20


class Receiver:
    """Somebody who is told of alerts; answers with `status`, and with 503 while it is `ill`."""

    def __init__(self):
        self.bodies, self.ill = [], False
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not receiver.ill:
                    receiver.bodies.append(json.loads(body))
                self.send_response(503 if receiver.ill else 204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook/secret"
        self.thread = Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver():
    with Receiver() as running:
        yield running


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    whole = AlertFleet(tmp_path_factory.mktemp("webhook"), alert_webhook_url="http://127.0.0.1:9/hook")
    yield whole
    whole.store.close()


@pytest.fixture
def fleet(running):
    running.forget_everything()
    running.join("pi5-1")
    return running


@contextlib.asynccontextmanager
async def sending(fleet, url):
    webhook = Webhook(url=url, notices=fleet.alerts.notices, clock=lambda: fleet.at, look_every_s=0.01)
    task = asyncio.create_task(webhook.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition):
    async with asyncio.timeout(WITHIN_S):
        while not condition():  # noqa: ASYNC110 - what another process did sends no event
            await asyncio.sleep(0.01)


async def test_a_receiver_hears_that_it_began_and_that_it_is_over(fleet, receiver):
    async with sending(fleet, receiver.url):
        fleet.hot("pi5-1")
        await until(lambda: len(receiver.bodies) == 1)
        fleet.hot("pi5-1", 10, temperature_c=50.0)
        await until(lambda: fleet.alerts.notices.sent == 2)

    began, over = receiver.bodies
    assert (began["event"], began["alert"]["id"], began["alert"]["value"]) == ("firing", "too-hot@pi5-1", 85.0)
    assert (over["event"], over["alert"]["state"]) == ("resolved", "resolved")
    assert (fleet.alerts.notices.sent, fleet.alerts.notices.waiting()) == (2, 0)


async def test_a_dead_receiver_is_said_once_and_counted_and_hears_all_when_it_lives(fleet, receiver):
    receiver.ill = True
    async with sending(fleet, receiver.url):
        fleet.hot("pi5-1")
        await until(lambda: fleet.alerts.notices.failed == 1)
        fleet.at += 5.0
        await until(lambda: fleet.alerts.notices.failed == 2)
        receiver.ill = False
        fleet.at += 10.0
        await until(lambda: len(receiver.bodies) == 1)
        await until(lambda: fleet.alerts.notices.waiting() == 0)

    place_of = receiver.url.removesuffix("/hook/secret")
    said = [text for text in fleet.told() if "receiver" in text]
    assert said == [
        f"the receiver of alerts at {place_of} answers 503; notices wait",
        f"the receiver of alerts at {place_of} takes notices again",
    ]


async def test_nobody_there_holds_up_nothing(fleet):
    async with sending(fleet, "http://127.0.0.1:9/hook"):
        fleet.hot("pi5-1")
        await until(lambda: fleet.alerts.notices.failed >= 1)

    assert "too-hot@pi5-1" in fleet.listed()
    assert "does not answer: ConnectError" in fleet.told()[-1]


async def test_a_silenced_one_is_told_when_its_silence_ends_and_it_is_still_open(fleet, receiver):
    fleet.alerts.silence(device_id="pi5-1", rule=None, for_s=300.0, why="", who="cli", at=fleet.at)
    async with sending(fleet, receiver.url):
        fleet.hot("pi5-1", 200)
        assert fleet.alerts.notices.waiting() == 0
        fleet.hot("pi5-1", 200)
        await until(lambda: len(receiver.bodies) == 1)

    assert receiver.bodies[0]["event"] == "firing"


async def test_a_database_that_cannot_be_written_is_told_without_it(fleet, receiver):
    fleet.alerts._cannot_write(fleet.at, "disk full")
    async with sending(fleet, receiver.url):
        await until(lambda: receiver.bodies)

    assert receiver.bodies[0]["alert"]["rule"] == "database-not-written"


def test_notices_are_bounded_and_given_up_after_a_day():
    notices = Notices(store=Store(None))
    with notices.store.transaction():
        for number in range(MOST + 3):
            notices.put({"number": number}, 0.0)
    assert (notices.waiting(), notices.lost) == (MOST, 3)
    assert json.loads(notices.due(0.0)["payload"]) == {"number": 3}

    notices.put_off(notices.due(0.0), 5.0, GIVEN_UP_S + 1.0)
    assert (notices.waiting(), notices.lost) == (0, MOST + 3)


@pytest.mark.parametrize("url", ["ftp://host/x", "hooks", "http://", "http://host:99999/"])
def test_an_address_that_is_none_is_refused_by_the_settings_name(url):
    with pytest.raises(InvalidError, match="is no address") as refused:
        Settings(alert_webhook_url=url)

    assert refused.value.facts["field"] == "alert_webhook_url"


def test_what_may_be_a_secret_in_the_address_is_in_no_log(tmp_path):
    store = Store(None)
    begin(store, Settings(data=tmp_path, alert_webhook_url="https://hooks.example.com/T0/secret"), "1", 1.0)

    (event,) = store.events()
    assert event["facts"]["settings"]["alert_webhook_url"] == "https://hooks.example.com"
    assert place("https://user:word@hooks.example.com:8443/x") == "https://hooks.example.com:8443"
