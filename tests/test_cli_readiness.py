"""A process is ready when it answers in its own protocol, not when its port is open."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from controller.cli.readiness import answers_http, answers_mqtt, wait_until


class Half(BaseHTTPRequestHandler):
    """Answers /readyz with 200 and all else with 503."""

    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def web():
    with HTTPServer(("127.0.0.1", 0), Half) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def mute():
    """A port that accepts and then hangs up without a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up():
            conversation, _ = listener.accept()
            conversation.recv(64)
            conversation.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_a_broker_that_acknowledges_is_ready(broker):
    assert answers_mqtt(broker.port)


def test_a_killed_broker_is_not_ready_and_a_restarted_one_is(broker):
    broker.kill()
    assert not answers_mqtt(broker.port)

    broker.restart()
    assert answers_mqtt(broker.port)


def test_an_open_port_without_a_connack_is_no_broker(mute):
    assert not answers_mqtt(mute)


def test_only_status_200_is_ready(web):
    assert answers_http(web, "/readyz")
    assert not answers_http(web, "/other")


def test_a_closed_port_is_not_ready(free_port):
    assert not answers_http(free_port, "/readyz")
    assert not answers_mqtt(free_port)


def test_waiting_ends_when_the_process_is_gone():
    assert not wait_until(lambda: False, within_s=60, alive=lambda: False)


def test_waiting_ends_with_the_time():
    assert not wait_until(lambda: False, within_s=0)


def test_waiting_ends_with_readiness():
    answers = iter([False, False, True])

    assert wait_until(lambda: next(answers), within_s=60)
