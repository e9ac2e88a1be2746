"""`POST /infer` on this machine: who is answered, what comes back, and that no deployment drops a request."""

import asyncio
import http.client
import json
import socket
import threading
from contextlib import contextmanager
from functools import partial

import pytest

from edge_agent.inputs import loopback, requests
from edge_agent.inputs.loopback import Loopback
from edge_agent.modelstore import Held
from edge_agent.power.meter import NoMeter
from edge_agent.runtimes.onnx import OnnxRuntime
from edge_agent.serving import Server
from tests.agent_bench import deploy, running
from tests.artifact_server import serving
from tests.test_inputs import MODEL, OUTCOME, picture
from tests.tiny_models import colour_model, tiny_model


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "colours.onnx"
    path.write_bytes(colour_model())
    return OnnxRuntime().load(path)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "tiny.onnx"
    path.write_bytes(tiny_model())
    return OnnxRuntime().load(path)


@contextmanager
def answering(session=None, *, rate=1_000.0, **options):
    """Yield a server that answers requests, and its port."""
    door = Loopback(0, **options)
    server = Server(NoMeter(), rate=rate, on_fault=lambda _: None, inputs=door)
    if session is not None:
        server.swap(session, Held(model=MODEL))
    try:
        yield server, door.port
    finally:
        server.close()


def ask(port, body=None, *, method="POST", path="/infer", headers=None):
    """Return status, headers and document of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, picture() if body is None else body, headers or {})
        answer = connection.getresponse()
        said = answer.read()
        return answer.status, answer.headers, json.loads(said) if said else None
    finally:
        connection.close()


def raw(port, request):
    """Send bytes and return everything that comes back until the connection ends."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_a_picture_is_answered_with_the_strongest_labels(colours):
    with answering(colours) as (server, port):
        status, _, said = ask(port, picture((0, 0, 255)))
        ask(port, picture((0, 0, 255)))
        ask(port, picture((0, 255, 0), form="JPEG"))
        told = server.take()

    assert status == 200
    assert said["top"][0]["label"] == "blue"
    assert said["top"][0]["index"] == 2
    assert sum(each["confidence"] for each in said["top"]) == pytest.approx(1, abs=1e-3)
    assert said["model"] == "colours"
    assert said["latency_ms"] > 0
    assert "energy_mj" not in said
    assert told.inferences == 3
    assert told.inputs.answers == {"blue": 2, "green": 1}
    assert (told.inputs.source, told.inputs.refused) == ("http", 0)


@pytest.mark.parametrize("body", [b"[9, 7, 5, 3]", b'{"input": [[9, 7], [5, 3]]}'])
def test_numbers_are_answered_too(numbers, body):
    with answering(numbers) as (_, port):
        status, _, said = ask(port, body)

    assert status == 200
    assert len(said["top"]) == 3


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 415, "unsupported_input"),
        (b"GIF89a", 415, "unsupported_input"),
        (b"[1, 2", 422, "bad_input"),
        (b"[" * 100_000, 422, "bad_input"),
        (b"[1, NaN, 3, 4]", 422, "bad_input"),
        (b'["a"]', 422, "bad_input"),
        (b'{"inputs": [1]}', 422, "bad_input"),
        (b"[1, 2, 3]", 422, "bad_input"),
        (picture()[:20], 422, "bad_image"),
        (picture(), 409, "no_picture_model"),
    ],
)
def test_an_input_that_makes_no_sense_is_refused_in_the_form_of_all_errors(numbers, body, status, code):
    with answering(numbers) as (_, port):
        answer = ask(port, body)
        again = ask(port, b"[1, 2, 3, 4]")

    assert answer[0] == status
    assert (answer[2]["success"], answer[2]["code"]) == (False, code)
    assert set(answer[2]) == {"success", "error", "code", "hint"}
    assert again[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:80"},
        {"Host": ""},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "[::bad"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_page_of_another_host_is_not_answered(colours, headers):
    with answering(colours) as (server, port):
        status, _, said = ask(port, headers=headers)

        assert (status, said["code"]) == (403, "host_not_allowed")
        assert server.take().inferences == 0


@pytest.mark.parametrize("headers", [{"Host": "localhost:1"}, {"Host": "[::1]:1"}, {"Origin": "http://localhost:3000"}])
def test_programs_on_this_machine_are_answered_by_any_of_its_names(colours, headers):
    with answering(colours) as (_, port):
        assert ask(port, headers=headers)[0] == 200


def test_it_listens_on_this_machine_only():
    door = Loopback(0)

    assert door._server.server_address[0] == "127.0.0.1"
    door.close()


def test_other_paths_and_methods_are_told_what_there_is(colours):
    with answering(colours) as (_, port):
        assert ask(port, path="/")[0] == 404
        status, headers, said = ask(port, method="GET")
        assert (status, said["code"]) == (405, "method_not_allowed")
        assert "curl" in said["hint"]
        assert headers["Allow"] == "POST"
        assert ask(port, method="HEAD")[::2] == (405, None)


def test_a_body_without_a_length_or_beyond_the_limit_is_refused_before_it_is_read(colours, monkeypatch):
    monkeypatch.setattr(requests, "MOST_BYTES", 1_000)
    head = b"POST /infer HTTP/1.1\r\nHost: localhost\r\n"
    with answering(colours) as (_, port):
        assert b" 413 " in raw(port, head + b"Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n").splitlines()[0]
        assert b" 413 " in raw(port, head + b"Content-Length: 99999999999999\r\n\r\n").splitlines()[0]
        assert b" 411 " in raw(port, head + b"Transfer-Encoding: chunked\r\n\r\n").splitlines()[0]
        assert b" 400 " in raw(port, head + b"Content-Length: -1\r\n\r\n").splitlines()[0]
        assert b" 400 " in raw(port, head + b"Content-Length: 500\r\n\r\nshort").splitlines()[0]
        assert ask(port)[0] == 200


def test_a_client_that_asks_first_whether_it_may_send_is_told_to_go_on(colours):
    with answering(colours) as (_, port), socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        head = f"POST /infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(picture())}\r\n"
        connection.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(picture())
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "request_line", [b"FOO /infer HTTP/1.1", b"nonsense", b"POST /infer HTTP/9.9", b"POST //[x HTTP/1.1"]
)
def test_what_is_no_request_is_refused_in_the_same_form(colours, request_line):
    with answering(colours) as (_, port):
        answer = raw(port, request_line + b"\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")

    assert json.loads(answer[answer.index(b"{") :])["success"] is False


def test_without_a_model_or_with_a_stopped_one_callers_are_told_when_to_come_again(colours):
    with answering() as (server, port):
        status, headers, said = ask(port)
        assert (status, said["code"], headers["Retry-After"]) == (503, "no_model", "5")
        server.swap(colours, Held(model=MODEL))
        server.want(running=False)
        assert ask(port)[2]["code"] == "stopped"
        server.want(running=True)
        with server.paused():
            assert ask(port)[2]["code"] == "measuring"
        assert ask(port)[0] == 200


class Slow:
    """A consumer that takes nothing by itself."""

    rate, idle = 0.5, None

    def __init__(self):
        self.woken = threading.Semaphore(0)

    def wake(self):
        self.woken.release()


@contextmanager
def waiting(count, **options):
    """Yield a door at which `count` requests wait, the threads that ask, and what they are answered."""
    door, slow, answers = Loopback(0, **options), Slow(), []
    door.open(slow)
    threads = [threading.Thread(target=lambda: answers.append(ask(door.port))) for _ in range(count)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert slow.woken.acquire(timeout=10)
    try:
        yield door, threads, answers
    finally:
        door.close()
        for thread in threads:
            thread.join()


def test_a_full_queue_is_429_with_the_time_until_there_is_room():
    with waiting(2, waiting=2) as (door, threads, answers):
        status, headers, said = ask(door.port)
        for _ in threads:
            door.next().answered(OUTCOME)

    assert (status, said["code"], headers["Retry-After"]) == (429, "busy", "6")
    assert "0.5 inferences a second" in said["error"]
    assert [answer[0] for answer in answers] == [200, 200]


def test_a_request_whose_turn_does_not_come_is_told_and_left_out():
    with waiting(1, patience_s=0.05) as (door, threads, answers):
        threads[0].join()
        assert door.next() is None

    assert (answers[0][0], answers[0][2]["code"], answers[0][1]["Retry-After"]) == (503, "timed_out", "2")


def test_what_waits_when_the_agent_stops_is_told_so():
    with waiting(2) as (_, _, answers):
        pass

    assert [(status, said["code"]) for status, _, said in answers] == [(503, "stopping")] * 2


def test_connections_beyond_the_limit_are_told_to_come_later(colours, monkeypatch):
    monkeypatch.setattr(loopback, "MOST_CONNECTIONS", 1)
    with answering(colours) as (_, port):
        first = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        first.request("POST", "/infer", picture())
        assert first.getresponse().read()
        refused = raw(port, b"")
        first.request("POST", "/infer", picture())
        assert first.getresponse().status == 200
        first.close()

    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 1\r\n" in refused
    assert json.loads(refused.partition(b"\r\n\r\n")[2])["code"] == "busy"


class Asking:
    """Threads that ask without a pause until they are told to end."""

    def __init__(self, port, threads=3):
        self.answers, self.wrong, self.ended = [], [], threading.Event()
        self.threads = [threading.Thread(target=self._ask, args=(port,)) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def _ask(self, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        while not self.ended.is_set():
            connection.request("POST", "/infer", picture((0, 255, 0)))
            answer = connection.getresponse()
            said = json.loads(answer.read())
            if answer.status == 200 and said["top"][0]["label"] == "green":
                self.answers.append(said["model"])
            else:
                self.wrong.append((answer.status, said))
        connection.close()

    async def heard(self, bench, model):
        """Wait until `model` answers."""
        since = len(self.answers)
        await bench.until(lambda: model in self.answers[since:] or self.wrong, f"an answer of {model}")

    async def end(self):
        self.ended.set()
        for thread in self.threads:
            await asyncio.to_thread(thread.join)


async def test_no_request_fails_while_models_are_deployed_and_rolled_back(tmp_path):
    door = Loopback(0)
    first, second, third = colour_model(factor=1.0), colour_model(factor=2.0), colour_model(factor=3.0)
    with serving() as server:
        async with running(tmp_path, part_changes={"server": partial(Server, inputs=door)}, rate=1_000.0) as bench:
            await bench.do(deploy(server, first, "d1", gen=1, model="first"))
            asking = Asking(door.port)
            await asking.heard(bench, "first")
            await bench.do(deploy(server, second, "d2", gen=2, model="second"))
            await asking.heard(bench, "second")
            over = await bench.do(deploy(server, third, "d3", gen=3, model="third", budget={"energy_mj": 1e-9}))
            await bench.do({"id": "r", "op": "rollback"})
            await asking.heard(bench, "first")
            await bench.do(deploy(server, second, "d4", gen=4, model="second again", soak_s=0.05))
            await asking.heard(bench, "second again")
            await asking.end()

    assert asking.wrong == []
    assert over.state == "rolled_back"
    assert "third" not in asking.answers


async def test_answers_and_refusals_are_counted_in_telemetry_with_simulated_energy(tmp_path):
    door = Loopback(0)
    with serving() as server:
        async with running(tmp_path, part_changes={"server": partial(Server, inputs=door)}, rate=1_000.0) as bench:
            await bench.do(deploy(server, colour_model(), model="colours"))
            answer = await asyncio.to_thread(ask, door.port, picture((0, 0, 255)))
            await asyncio.to_thread(ask, door.port, b"[1]")
            counted = lambda: [each["inputs"] for each in bench.said("telemetry") if "inputs" in each]  # noqa: E731
            await bench.until(lambda: any(each["refused"] for each in counted()), "a refused input")

    assert answer[2]["energy_source"] == "simulated"
    assert answer[2]["energy_mj"] > 0
    assert sum(each.get("answers", {}).get("blue", 0) for each in counted()) == 1
    assert sum(each["refused"] for each in counted()) == 1
