"""Sends bytes of an open file, and breaks off when somebody writes to it meanwhile."""

import asyncio
import logging
import os
from collections.abc import Mapping
from typing import IO

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from controller.api.ranges import Span
from controller.api.zero_copy import EXTENSION

logger = logging.getLogger(__name__)

CHUNK_BYTES = 64 << 10
LAST_BYTES = 64 << 10
"""What is read here of a file that the kernel sends, so that its completion waits for a look at the file; so little is
read without another thread."""


class OpenFileResponse(Response):
    """The bytes `span` of `file`, which it closes.

    The open file stays whole when its name is taken away. A file that changes while it is sent ends the connection
    before the promised length is reached, so that no client takes it for complete.
    """

    def __init__(self, file: IO[bytes], span: Span, *, status_code: int = 200, headers: Mapping[str, str]) -> None:
        """Promise `span`; the file is read when the response is sent."""
        self._file, self._span, self._state = file, span, _state(file)
        self.status_code = status_code
        self.media_type = "application/octet-stream"
        self.background = None
        self.init_headers({**headers, "Content-Length": str(span.end - span.start)})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send head and bytes."""
        with self._file:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if scope["method"] == "HEAD" or self._span.start == self._span.end:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            if EXTENSION in scope.get("extensions", {}):
                await self._by_kernel(send)
                return
            left = asyncio.ensure_future(_left(receive))
            try:
                await self._by_chunks(send, left)
            finally:
                left.cancel()

    async def _by_kernel(self, send: Send) -> None:
        """Send all but the last bytes without a look at them."""
        start, end = self._span.start, self._span.end
        last = max(start, end - LAST_BYTES)
        if last > start:
            count = last - start
            await send({"type": EXTENSION, "file": self._file, "offset": start, "count": count, "more_body": True})
        chunk = os.pread(self._file.fileno(), end - last, last)
        if self._is_what_was_promised(chunk, end - last):
            await send({"type": "http.response.body", "body": chunk, "more_body": False})

    async def _by_chunks(self, send: Send, left: "asyncio.Future[None]") -> None:
        """Send the bytes until the client has `left`."""
        offset, end = self._span.start, self._span.end
        while offset < end and not left.done():
            count = min(CHUNK_BYTES, end - offset)
            chunk = await asyncio.to_thread(os.pread, self._file.fileno(), count, offset)
            if not self._is_what_was_promised(chunk, count):
                return
            offset += count
            await send({"type": "http.response.body", "body": chunk, "more_body": offset < end})

    def _is_what_was_promised(self, chunk: bytes, count: int) -> bool:
        """Whether nobody wrote to the file before `chunk` was read."""
        if len(chunk) == count and _state(self._file) == self._state:
            return True
        logger.error("%s changed while it was sent; the connection is ended", self._file.name)
        return False


async def _left(receive: Receive) -> None:
    """Wait until the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _state(file: IO[bytes]) -> tuple[int, int]:
    stat = os.fstat(file.fileno())
    return stat.st_size, stat.st_mtime_ns
