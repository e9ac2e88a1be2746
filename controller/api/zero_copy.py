"""Lets the kernel send files over uvicorn's connections: the ASGI extension `http.response.zerocopysend`."""

import asyncio
from functools import partial
from typing import Any

import h11
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import RequestResponseCycle

EXTENSION = "http.response.zerocopysend"


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
    if cycle.flow.write_paused and not cycle.disconnected:
        await cycle.flow.drain()
    if cycle.disconnected or cycle.transport.is_closing():
        return
    count = message["count"]
    uncounted: Any = _Elsewhere(count)
    cycle.conn.send_with_data_passthrough(h11.Data(data=uncounted))
    try:
        sent = await asyncio.get_running_loop().sendfile(cycle.transport, message["file"], message["offset"], count)
    except OSError:
        sent = 0  # the client is gone
    if sent < count:
        cycle.transport.abort()  # in the middle of what was promised
