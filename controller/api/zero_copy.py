"""Lets the kernel send files over uvicorn's connections: the ASGI extension `http.response.zerocopysend`."""

import asyncio
import os
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Any

import h11
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import RequestResponseCycle

EXTENSION = "http.response.zerocopysend"

TURN_BYTES = 2 << 20
"""How much of its file a connection is given before the others have their turn."""

STALLED_S = 60.0
"""A client that takes not one byte for so long is let go."""


class _Elsewhere:
    """Bytes that h11 counts and never sees."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count


def zero_copy(app: ASGIApp) -> ASGIApp:
    """Return `app` with the extension where the connection is uvicorn's own over h11, and as it is elsewhere.

    The kernel cannot send what has to be encrypted first, so there is none over TLS.

    Uvicorn copies each chunk three times in Python; nothing of it runs while the kernel sends.
    """

    async def extended(scope: Scope, receive: Receive, send: Send) -> None:
        cycle = getattr(send, "__self__", None)
        if isinstance(cycle, RequestResponseCycle) and cycle.transport.get_extra_info("sslcontext") is None:
            scope["extensions"] = {**scope.get("extensions", {}), EXTENSION: {}}
            send = partial(_send, cycle)
        await app(scope, receive, send)

    return extended


async def _send(cycle: RequestResponseCycle, message: Message) -> None:
    if message["type"] != EXTENSION:
        await cycle.send(message)  # type: ignore[arg-type]  # the same messages under another name
        return
    transport = cycle.transport
    transport.set_write_buffer_limits(0)  # so that `drain` waits until the head is out
    if cycle.flow.write_paused and not cycle.disconnected:
        await cycle.flow.drain()
    if cycle.disconnected or transport.is_closing():
        return
    count = message["count"]
    uncounted: Any = _Elsewhere(count)
    cycle.conn.send_with_data_passthrough(h11.Data(data=uncounted))
    transport.pause_reading()
    sent = await _by_kernel(transport.get_extra_info("socket").fileno(), message["file"], message["offset"], count)
    if sent < count:
        transport.abort()  # in the middle of what was promised
        return
    transport.set_write_buffer_limits()
    transport.resume_reading()


async def _by_kernel(socket: int, file: IO[bytes], offset: int, count: int) -> int:
    """Return how many of the bytes went out: all, or fewer where the file ends, or the client is gone or stalls."""
    try:
        door = os.dup(socket)  # asyncio lets nobody else wait for the descriptor of a transport
    except OSError:
        return 0
    sending = _Sending(door=door, file=file.fileno(), offset=offset, end=offset + count)
    try:
        sending.turn()
        before = -1
        while not sending.over.done() and before != sending.offset:
            before = sending.offset
            await asyncio.wait([sending.over], timeout=STALLED_S)
    finally:
        sending.loop.remove_writer(door)
        os.close(door)
    return sending.offset - offset


@dataclass(slots=True, kw_only=True)
class _Sending:
    """The bytes of a file from `offset` up to `end` on their way through `door`; `over` when no more will go."""

    door: int
    file: int
    offset: int
    end: int
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    over: "asyncio.Future[None]" = field(init=False)

    def __post_init__(self) -> None:
        """Take turns whenever the socket has room."""
        self.over = self.loop.create_future()
        self.loop.add_writer(self.door, self.turn)

    def turn(self) -> None:
        """Send as much as the socket takes, and no more than the others can wait for."""
        try:
            sent = os.sendfile(self.door, self.file, self.offset, min(TURN_BYTES, self.end - self.offset))
        except BlockingIOError:
            return
        except OSError:
            sent = 0  # the client is gone
        self.offset += sent
        if not sent or self.offset == self.end:
            self.loop.remove_writer(self.door)
            self.over.set_result(None)
