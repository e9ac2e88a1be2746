"""Answers `POST /infer` for programs on this machine: an input comes in, the model's strongest answers go out."""

import logging
import math
import socket
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from threading import BoundedSemaphore, Lock, Thread
from typing import Any

from broker.errors import ConflictError, EdgeWattError, InvalidError
from edge_agent.inputs.requests import Requests, too_many
from edge_agent.inputs.source import Consumer, Item, Outcome
from edge_agent.runtimes.facts import ModelFacts

HOST = "127.0.0.1"
MOST_WAITING = 16
MOST_CONNECTIONS = 32
"""A connection holds a thread; what comes beyond is told to come later and closed."""

PATIENCE_S = 30.0
"""How long a request waits for its turn."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Asked:
    """A request that waits for its answer."""

    values: Callable[[ModelFacts], Any]
    end: Future[Outcome] = field(default_factory=Future)


class Loopback:
    """Requests from 127.0.0.1 in the order in which they came.

    At most `waiting` of them at a time, and never more than can be answered within `patience_s` at the present rate.
    """

    name = "http"
    poll_s: float | None = None
    fault: str | None = None

    def __init__(self, port: int, *, waiting: int = MOST_WAITING, patience_s: float = PATIENCE_S) -> None:
        """Take the port, 0 for any free one; raises ConflictError (`port_taken`). Nothing is answered before `open`."""
        self.waiting, self.patience_s = waiting, patience_s
        self._queue: deque[_Asked] = deque()
        self._lock = Lock()
        self._consumer: Consumer | None = None
        try:
            self._server = _Server((HOST, port), Requests)
        except OSError as error:
            said = f"cannot listen on {HOST}:{port}: {error.strerror or error}"
            raise ConflictError(said, code="port_taken", hint="choose another port: --input http:8080") from error
        self._server.ask = self.ask
        self.port: int = self._server.server_address[1]
        self._thread = Thread(target=self._server.serve_forever, args=(0.1,), name="loopback", daemon=True)

    def open(self, consumer: Consumer) -> None:
        """Begin to answer."""
        self._consumer = consumer
        self._thread.start()
        log.info("POST http://%s:%d/infer takes a PNG, a JPEG or a JSON list of numbers", HOST, self.port)

    def next(self) -> Item | None:
        """Return the request that waits longest."""
        while True:
            with self._lock:
                asked = self._queue.popleft() if self._queue else None
            if asked is None:
                return None
            if asked.end.set_running_or_notify_cancel():
                return Item(
                    name="request", values=asked.values, answered=asked.end.set_result, refused=asked.end.set_exception
                )

    def close(self) -> None:
        """Answer no more; what waits is told so."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()
        while (item := self.next()) is not None:
            item.refused(ConflictError("the agent stops", code="stopping"))

    def ask(self, values: Callable[[ModelFacts], Any]) -> Outcome:
        """Return what the model answers to an input; raises EdgeWattError, with `retry_after_s` where it may come."""
        consumer = self._consumer
        assert consumer is not None
        if (idle := consumer.idle) is not None:
            raise idle
        asked = _Asked(values)
        with self._lock:
            if len(self._queue) >= min(self.waiting, max(self.patience_s * consumer.rate, 1)):
                raise _busy(len(self._queue), consumer.rate)
            self._queue.append(asked)
        consumer.wake()
        try:
            return asked.end.result(self.patience_s)
        except TimeoutError:
            asked.end.cancel()
            raise consumer.idle or _late(self.patience_s, consumer.rate) from None


class _Server(ThreadingHTTPServer):
    """Threads for `MOST_CONNECTIONS` connections, no more."""

    daemon_threads = True
    block_on_close = False
    ask: Callable[[Callable[[ModelFacts], Any]], Outcome]

    def __init__(self, *arguments: Any) -> None:
        """Listen."""
        self._room = BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begin a thread for a connection, if there is room for one."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            too_many(request)
            self.shutdown_request(request)

    def process_request_thread(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any) -> None:
        """Serve a connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that went away is no news."""


def _busy(waiting: int, rate: float) -> EdgeWattError:
    return ConflictError(
        f"{waiting} requests wait already, and the device runs {rate:g} inferences a second",
        code="busy",
        hint="ask less often, or raise the rate: --rate, or the op config",
        retry_after_s=math.ceil((waiting + 1) / rate),
    )


def _late(patience_s: float, rate: float) -> EdgeWattError:
    said = f"its turn did not come within {patience_s:g} s"
    return InvalidError(said, code="timed_out", hint="ask again, or raise the rate", retry_after_s=math.ceil(1 / rate))
