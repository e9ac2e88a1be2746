"""The client against a small scripted HTTP server on a real socket."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket

import pytest

from broker.errors import (
    ConflictError,
    EdgeWattError,
    InvalidError,
    NotFoundError,
    RefusedError,
    UnreachableError,
)
from controller.client import Client


class Scripted(ThreadingHTTPServer):
    """Answers every request with the next script line and remembers what it was told."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.told = []
        self.connections = set()
        self.answer = (200, {"success": True})
        self.cut = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.connections.add(self.client_address)
        self.server.told.append((self.command, self.path, json.loads(body) if body else None, dict(self.headers)))
        if self.server.cut:
            self.server.cut -= 1
            self.close_connection = True
            return
        status, document = self.server.answer
        payload = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - the names http.server calls

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Scripted() as scripted:
        thread = threading.Thread(target=scripted.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield scripted
        scripted.shutdown()
        thread.join()


@pytest.fixture
def client(server):
    with Client(server.url + "/", origin="dashboard") as ours:
        yield ours


def exported(client, **sought):
    with client.export_logs("csv", **sought) as chunks:
        return b"".join(chunks)


CALLS = [
    (lambda c: c.live(), "GET", "/livez", None),
    (lambda c: c.ready(), "GET", "/readyz", None),
    (lambda c: c.status(), "GET", "/api/status", None),
    (lambda c: c.devices(q="pi", tag="line=A"), "GET", "/api/devices?limit=100&offset=0&q=pi&tag=line%3DA", None),
    (lambda c: c.device("pi5-1"), "GET", "/api/devices/pi5-1", None),
    (
        lambda c: c.telemetry("pi5-1", minutes=60),
        "GET",
        "/api/devices/pi5-1/telemetry?minutes=60&points=300",
        None,
    ),
    (lambda c: c.forget("pi5-1"), "DELETE", "/api/devices/pi5-1", None),
    (lambda c: c.command("pi5-1", "ping"), "POST", "/api/devices/pi5-1/command", {"op": "ping"}),
    (lambda c: c.approve("pi5-1"), "POST", "/api/devices/pi5-1/approve", None),
    (lambda c: c.refused_messages(), "GET", "/api/messages/refused", None),
    (lambda c: c.command_state("c1"), "GET", "/api/commands/c1", None),
    (
        lambda c: c.deploy("pi5-1", "m", max_energy_mj=5.0, dry_run=True),
        "POST",
        "/api/deploy",
        {"device_id": "pi5-1", "model_name": "m", "max_energy_mj": 5.0, "dry_run": True},
    ),
    (
        lambda c: c.deployments(open_only=True, limit=5),
        "GET",
        "/api/deployments?open=true&limit=5&offset=0",
        None,
    ),
    (lambda c: c.deployment("d1"), "GET", "/api/deployments/d1", None),
    (lambda c: c.cancel("d1"), "POST", "/api/deployments/d1/cancel", {}),
    (lambda c: c.predict_energy([{"a": 1}]), "POST", "/api/predict-energy", [{"a": 1}]),
    (lambda c: c.models(q="x"), "GET", "/api/models/all?limit=100&offset=0&q=x", None),
    (lambda c: c.recommended("rpi"), "GET", "/api/models/recommended?device_type=rpi&limit=10", None),
    (lambda c: c.ledger(device_id="a"), "GET", "/api/ledger?device_id=a&limit=100", None),
    (lambda c: c.calibrate("a"), "POST", "/api/devices/a/calibrate", {"models": [], "rows": []}),
    (lambda c: c.calibration("a"), "GET", "/api/devices/a/calibration", None),
    (lambda c: c.cancel_calibration("a"), "POST", "/api/devices/a/calibrate/cancel", None),
    (lambda c: c.undo_calibration("a"), "POST", "/api/devices/a/calibrate/undo", None),
    (lambda c: c.pareto("rpi"), "GET", "/api/models/pareto?device_type=rpi", None),
    (
        lambda c: c.pareto("rpi", published=True, listed=True),
        "GET",
        "/api/models/pareto?device_type=rpi&published=true&listed=true",
        None,
    ),
    (lambda c: c.explain("m", "rpi"), "GET", "/api/models/explain?model=m&device_type=rpi", None),
    (
        lambda c: c.deploy_best(device_ids=["a"], max_energy_mj=6.0, dry_run=True),
        "POST",
        "/api/deploy/best",
        {"device_ids": ["a"], "max_energy_mj": 6.0, "min_top1": 0.0, "dry_run": True},
    ),
    (lambda c: c.plan(energy_wh_per_day=2.0), "POST", "/api/plan", {"energy_wh_per_day": 2.0}),
    (lambda c: c.battery("a", "m"), "GET", "/api/devices/a/battery?model=m&rate_hz=1.0", None),
    (lambda c: c.energy_metadata(), "GET", "/api/energy/metadata", None),
    (lambda c: c.metrics("pi5-1"), "GET", "/api/device/metrics?device_id=pi5-1", None),
    (lambda c: c.start("pi5-1"), "POST", "/api/device/start", {"device_id": "pi5-1"}),
    (lambda c: c.stop("pi5-1"), "POST", "/api/device/stop", {"device_id": "pi5-1"}),
    (lambda c: c.rollback("pi5-1"), "POST", "/api/device/rollback", {"device_id": "pi5-1"}),
    (lambda c: c.benchmark("pi5-1"), "POST", "/api/device/benchmark", {"device_id": "pi5-1"}),
    (lambda c: c.logs(kind="deploy"), "GET", "/api/logs?limit=100&type=deploy", None),
    (lambda c: c.logs(after="7", who="cli"), "GET", "/api/logs?limit=100&after=7&who=cli", None),
    (lambda c: exported(c, device_id="a"), "GET", "/api/logs/export?format=csv&device_id=a", None),
    (lambda c: c.clear_logs(reason="x"), "POST", "/api/logs/clear", {"before": "", "reason": "x"}),
    (lambda c: c.versions("m"), "GET", "/api/models/named/m/versions", None),
    (
        lambda c: c.promote_model("m", version="abcd"),
        "POST",
        "/api/models/promote",
        {"model_name": "m", "version": "abcd", "undo": False, "dry_run": False},
    ),
    (lambda c: c.log_archives(), "GET", "/api/logs/archives", None),
    (lambda c: c.log_kinds(), "GET", "/api/logs/kinds", None),
]


@pytest.mark.parametrize("line", CALLS, ids=[line[2] for line in CALLS])
def test_each_method_asks_for_its_path(client, server, line):
    call, *asked = line

    call(client)

    assert [tuple(asked)] == [told[:3] for told in server.told]


def test_the_caller_names_itself(client, server):
    client.status()

    assert server.told[0][3]["X-EdgeWatt-Origin"] == "dashboard"


def test_a_write_whose_connection_breaks_is_asked_for_once_more_under_the_same_key(client, server):
    server.cut = 1
    assert client.approve("pi5-1")["success"]
    first, second = (told[3]["Idempotency-Key"] for told in server.told)
    assert first == second

    client.approve("pi5-1")
    assert server.told[2][3]["Idempotency-Key"] != first
    server.cut = 2
    with pytest.raises(UnreachableError):
        client.approve("pi5-1")


def test_what_only_asks_has_no_key_so_that_its_answer_is_not_kept(client, server):
    client.predict_energy([])
    client.deploy("pi5-1", "m", dry_run=True)
    client.plan(energy_wh_per_day=2.0)

    assert not any("Idempotency-Key" in told[3] for told in server.told)


def test_a_strange_id_stays_one_path_segment(client, server):
    client.device("../status?x=1")

    assert server.told[0][1] == "/api/devices/..%2Fstatus%3Fx%3D1"


def test_requests_share_one_connection(client, server):
    for _ in range(5):
        client.status()

    assert len(server.connections) == 1


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (409, "over_budget", RefusedError),
        (409, "no_prediction", RefusedError),
        (409, "conflict", ConflictError),
        (404, "not_found", NotFoundError),
        (404, "unknown_model", NotFoundError),
        (422, "", InvalidError),
        (500, "something_new", EdgeWattError),
    ],
)
def test_an_error_becomes_the_class_its_code_names(client, server, status, code, kind):
    server.answer = (status, {"success": False, "error": "no", "code": code, "hint": "do", "verdict": {"high_mj": 9}})

    with pytest.raises(EdgeWattError) as caught:
        client.status()

    error = caught.value
    assert kind is type(error)
    assert (error.message, error.hint, error.facts) == ("no", "do", {"verdict": {"high_mj": 9}})


def test_an_export_that_is_refused_is_an_error_like_any_other(client, server):
    assert exported(client) == b'{"success": true}'
    server.answer = (422, {"success": False, "error": "no", "code": "invalid", "hint": "do"})

    with pytest.raises(InvalidError, match="no"):
        exported(client)


@pytest.mark.parametrize("answer", [(200, b"<html>"), (200, [1]), (502, b"bad gateway"), (500, {"detail": "x"})])
def test_an_answer_that_is_not_a_controllers_is_called_so(client, server, answer):
    server.answer = answer

    with pytest.raises(UnreachableError, match="not as a controller does"):
        client.status()


def test_nobody_there_is_a_sentence_with_a_hint():
    with socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with Client(url) as client, pytest.raises(UnreachableError) as caught:
            client.status()

    assert f"the controller at {url} cannot be reached" == caught.value.message
    assert "edgewatt up" in caught.value.hint


@pytest.mark.parametrize("address", ["http://127.0.0.1:99999", "127.0.0.1:5000", "http://[::"])
def test_an_address_that_is_none_is_unreachable_too(address):
    with pytest.raises(UnreachableError), Client(address) as client:
        client.status()


def test_a_controller_that_says_nothing_is_not_waited_for():
    with socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Client(url, timeout=0.2) as client, pytest.raises(UnreachableError, match="does not answer in time"):
            client.status()


def test_the_client_brings_nothing_heavy():
    code = "import controller.client, sys; print(*sys.modules)"
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert not {"pandas", "streamlit", "fastapi", "numpy", "onnx", "sklearn"} & set(listed)


def test_a_field_that_an_answer_of_another_version_lacks_is_an_error_in_words(client, server):
    server.answer = 200, {"total": 1, "devices": [{"id": "a"}]}
    found = client.devices()

    with pytest.raises(UnreachableError) as lacking:
        found["devices"][0]["health"]
    assert "'health'" in lacking.value.message
    assert found["devices"][0].get("health") is None
