"""Which ports to listen on: the wanted ones, the next that are free, or any."""

import socket
from collections.abc import Iterable
from contextlib import ExitStack

from broker.errors import ConflictError

HOST = "127.0.0.1"
TRIES = 100


def is_free(port: int, host: str = HOST) -> bool:
    """Return whether a server could listen on `host`:`port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def next_free(wanted: int, taken: Iterable[int] = ()) -> int:
    """Return `wanted`, or the next port above it that is free and not in `taken`. Raises ConflictError."""
    ports = range(wanted, min(wanted + TRIES, 65_536))
    for port in ports:
        if port not in taken and is_free(port):
            return port
    raise ConflictError(
        f"no port from {wanted} to {ports.stop - 1} is free", code="no_port", hint="name a free one with its option"
    )


def some_free(count: int) -> tuple[int, ...]:
    """Return `count` different ports of the system's choice, which nobody else looks for by number."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((HOST, 0))
        return tuple(probe.getsockname()[1] for probe in probes)
