"""The door of REST: a socket, and uvicorn behind it."""

import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import uvicorn
from starlette.types import ASGIApp

from broker.errors import InvalidError

MOST_SAID_BYTES = 65_536
GOODBYE_S = 10
"""How long a controller that stops waits for answers that nobody reads."""


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
    with door:
        yield door


def configured(app: ASGIApp) -> uvicorn.Config:
    """Return how uvicorn serves `app`: telemetry uncompressed, little said by its readers, and an end that comes."""
    return uvicorn.Config(
        app,
        log_level="warning",
        lifespan="off",
        ws_per_message_deflate=False,
        ws_max_size=MOST_SAID_BYTES,
        timeout_graceful_shutdown=GOODBYE_S,
    )
