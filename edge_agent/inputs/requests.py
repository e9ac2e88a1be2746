"""Speaks HTTP with a program on this machine: checks who asks, reads an input, writes the answer or the error."""

import json
import socket
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from broker.errors import EdgeWattError, InvalidError, NotFoundError
from broker.wire import document
from edge_agent.inputs.numbers import flat
from edge_agent.inputs.pictures import opened, prepared
from edge_agent.inputs.source import Outcome
from edge_agent.runtimes.facts import ModelFacts

PATH = "/infer"
OURSELVES = frozenset({"127.0.0.1", "localhost", "::1"})
MOST_BYTES = 16_000_000
IDLE_S = 15.0
"""How long a connection may say nothing."""

BEGINS_AS_PICTURE = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
HINT = "curl --data-binary @picture.png http://127.0.0.1:8080/infer"

STATUS_OF_CODE = {
    "busy": 429,
    "bad_image": 422,
    "bad_input": 422,
    "bad_length": 400,
    "extra_missing": 501,
    "host_not_allowed": 403,
    "inference_failed": 500,
    "length_required": 411,
    "method_not_allowed": 405,
    "no_picture_model": 409,
    "not_found": 404,
    "too_large": 413,
    "unsupported_input": 415,
}
"""Every other failure is the device's state: 503, come again."""

USUAL_WAIT_S = 5

Values = Callable[[ModelFacts], Any]


class Requests(BaseHTTPRequestHandler):
    """One connection; requests on it come one after the other."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    wbufsize = -1  # head and body leave at once: apart, the second waits 40 ms for the first's ACK
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Answer an input."""
        try:
            self._check_sender()
            self._check_path()
            values = understood(self._body())
            ask: Callable[[Values], Outcome] = self.server.ask  # type: ignore[attr-defined]
            self._say(200, told(ask(values)))
        except EdgeWattError as error:
            self._refuse(error)

    def do_GET(self) -> None:
        """Say how to ask."""
        try:
            self._check_sender()
            self._check_path()
            raise InvalidError("an input is sent with POST", code="method_not_allowed", hint=HINT)
        except EdgeWattError as error:
            self._refuse(error)

    do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = do_GET  # noqa: N815 - the library's names

    def handle_expect_100(self) -> bool:
        """Let a body come only from whom it is taken."""
        try:
            self._check_sender()
            self._length()
        except EdgeWattError as error:
            self._refuse(error)
            return False
        goes_on = super().handle_expect_100()
        self.wfile.flush()
        return goes_on

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is no request that the library understands."""
        self.close_connection = True
        said = message or explain or "this is no request"
        self._say(code, {"success": False, "error": said, "code": "bad_request", "hint": HINT})

    def version_string(self) -> str:
        """Say who answers, and of which build nothing."""
        return "edgewatt-agent"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Log nothing: requests are counted in telemetry."""

    def _check_sender(self) -> None:
        """Refuse what a browser sends for a page of another host, also one whose name was bound to this address."""
        hosts = [f"//{host}" for host in self.headers.get_all("Host", [""])]
        origins = self.headers.get_all("Origin", [])
        if all(_host(each) in OURSELVES for each in (*hosts, *origins)):
            return
        said = "only programs on this machine are answered"
        raise InvalidError(said, code="host_not_allowed", hint="ask http://127.0.0.1 or http://localhost")

    def _check_path(self) -> None:
        if self.path.partition("?")[0] != PATH:
            raise NotFoundError(f"there is no {self.path[:80]} here", hint=f"POST {PATH}")

    def _length(self) -> int:
        if "Transfer-Encoding" in self.headers or "Content-Length" not in self.headers:
            raise InvalidError("the request does not say how long it is", code="length_required", hint=HINT)
        text = str(self.headers["Content-Length"]).strip()
        if not (text.isascii() and text.isdigit()):
            raise InvalidError(f"Content-Length is {text[:40]}", code="bad_length", hint=HINT)
        if int(text) > MOST_BYTES:
            said = f"{int(text) / 1e6:.1f} MB are more than the {MOST_BYTES / 1e6:.0f} an input may have"
            raise InvalidError(said, code="too_large", hint="send a smaller picture")
        return int(text)

    def _body(self) -> bytes:
        length = self._length()
        data = self.rfile.read(length)
        if len(data) < length:
            raise InvalidError(f"{len(data)} of {length} bytes came", code="bad_length", hint=HINT)
        return data

    def _refuse(self, error: EdgeWattError) -> None:
        """Say what went wrong; a body that nobody read ends the connection."""
        status = STATUS_OF_CODE.get(error.code, 503)
        later = error.facts.get("retry_after_s", USUAL_WAIT_S if status == 503 else None)  # noqa: PLR2004 - come again
        self.close_connection = self.close_connection or status in (400, 403, 404, 405, 411, 413)
        body = {"success": False, "error": error.message, "code": error.code, "hint": error.hint}
        allowed = {"Allow": "POST"} if error.code == "method_not_allowed" else {}
        self._say(status, body, allowed if later is None else {"Retry-After": str(later)})

    def _say(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body, ensure_ascii=False).encode() + b"\n"
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(data), **(headers or {})}.items():
            self.send_header(name, str(value))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def understood(body: bytes) -> Values:
    """Return what makes a model's input of a request's body, whatever its Content-Type claims.

    Raises InvalidError (`bad_input`, `bad_image`, `unsupported_input`) and RuntimeUnavailableError (`extra_missing`).
    """
    if body.startswith(BEGINS_AS_PICTURE):
        picture = opened(body)
        return lambda facts: prepared(picture, facts)
    if body.lstrip()[:1] not in (b"[", b"{"):
        said = "the body is neither a PNG, a JPEG nor JSON"
        raise InvalidError(said, code="unsupported_input", hint=HINT)
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidError(f"the body is no JSON: {str(error)[:120]}", code="bad_input") from None
    numbers = flat(found.get("input") if isinstance(found, dict) else found)
    return lambda _facts: numbers


def told(outcome: Outcome) -> dict[str, Any]:
    """Return an answer as a document; energy always with its source."""
    energy = {} if outcome.energy_mj is None else {"energy_mj": round(outcome.energy_mj, 4)}
    source = {} if outcome.energy_mj is None else {"energy_source": outcome.energy_source}
    return {
        "success": True,
        "model": outcome.model.model,
        "artifact_sha256": outcome.model.artifact_sha256,
        "top": document(outcome.top),
        "latency_ms": round(outcome.latency_ms, 4),
        **energy,
        **source,
    }


def too_many(connection: socket.socket) -> None:
    """Tell a connection for which there is no room to come later."""
    body = json.dumps({"success": False, "error": "too many connections", "code": "busy", "hint": "use fewer"})
    head = f"HTTP/1.1 503 Busy\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nRetry-After: 1\r\n"
    with suppress(OSError):
        connection.sendall(f"{head}Connection: close\r\n\r\n{body}".encode())


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
