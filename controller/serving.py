"""The door of REST: a socket, and uvicorn behind it."""

import asyncio
import logging
import math
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from broker.errors import InvalidError
from controller.access.tokens import Tokens
from controller.settings import Settings

MOST_SAID_BYTES = 65_536
GOODBYE_S = 10
"""How long a controller that stops waits for answers that nobody reads."""


NOBODY_MORE = "socket.accept() out of system resource"
"""What asyncio says, with a trace and for each who waits, when no file is left to let somebody in by."""

SAID_EVERY_S = 60.0

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Complaints:
    """What asyncio complains of: that nobody more can be let in is a sentence, once in a while; the rest is as ever."""

    said_at: float = -math.inf

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Hear a complaint."""
        if context.get("message") != NOBODY_MORE:
            loop.default_exception_handler(context)
        elif loop.time() - self.said_at >= SAID_EVERY_S:
            self.said_at = loop.time()
            hint = "raise the limit: LimitNOFILE= of the service, or ulimit -Hn"
            logger.error("no file is left to let another client in by, so some wait; %s", hint)


class Server(uvicorn.Server):
    """uvicorn without its own signals, so that the fleet hears our goodbye."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override] # the same use, no generator
        """Leave signals to `serve`."""
        return nullcontext()

    def stop(self) -> None:
        """Answer what is being asked, then end."""
        self.should_exit = True


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Open the door of REST. Raises InvalidError when the address is taken or not ours."""
    try:
        door = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise InvalidError(
            f"cannot listen on {host}:{port}: {error.strerror}", hint="choose another --port or --host", field="port"
        ) from None
    door.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else a head waits 40 ms for the client's word
    with door:
        yield door


@asynccontextmanager
async def served(app: ASGIApp, door: socket.socket, settings: Settings) -> AsyncIterator[None]:
    """Let `app` answer behind `door`, which stays open after it."""
    asyncio.get_running_loop().set_exception_handler(Complaints())
    server = Server(configured(app, settings))
    serving = asyncio.create_task(server.serve([door.dup()]))
    try:
        yield
    finally:
        server.stop()
        await serving


def check_exposure(settings: Settings, tokens: Tokens) -> None:
    """Raise InvalidError when others would reach REST without a token to stop them, or read what is said there."""
    if settings.tls_cert_file:
        _check_certificate(settings)
    if not settings.exposed:
        return
    where = "a proxy" if settings.behind_proxy else f"{settings.host}:{settings.port}"
    if not tokens.exist():
        hint = "`edgewatt init` makes the first token; or listen on this machine only: --host 127.0.0.1"
        raise InvalidError(
            f"everybody who reaches {where} could deploy: there is no token yet", hint=hint, field="host"
        )
    if not settings.tls_cert_file and not settings.behind_proxy:
        hint = "--tls-cert-file and --tls-key-file; or --behind-proxy where TLS ends in a proxy in front"
        said = f"tokens would be readable on their way to {where}: there is no TLS"
        raise InvalidError(said, hint=hint, field="tls_cert_file")


def _check_certificate(settings: Settings) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_cert_file, settings.tls_key_file)
    except (OSError, ssl.SSLError) as error:
        said = f"cannot use {settings.tls_cert_file} with {settings.tls_key_file}: {error.strerror or error}"
        raise InvalidError(said, hint="both are PEM, and belong to each other", field="tls_cert_file") from None


def configured(app: ASGIApp, settings: Settings | None = None) -> uvicorn.Config:
    """Return how uvicorn serves `app`: telemetry uncompressed, little said by its readers, and an end that comes.

    Of a proxy's word, who asks it, nothing is believed unless `settings` name the proxy; no line tells of each request,
    as addresses of files are secret for a while.
    """
    told = settings or Settings()
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        proxy_headers=told.behind_proxy,
        forwarded_allow_ips=[each.strip() for each in told.trusted_proxies.split(",")],
        ssl_certfile=told.tls_cert_file or None,
        ssl_keyfile=told.tls_key_file or None,
        lifespan="off",
        ws_per_message_deflate=False,
        ws_max_size=MOST_SAID_BYTES,
        timeout_graceful_shutdown=GOODBYE_S,
    )
