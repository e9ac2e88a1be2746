"""Answers who asks for a file by its hash, before a route is looked for: a whole fleet may do so at once."""

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass
from typing import IO

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from broker.errors import ArtifactError, InvalidError, NotFoundError, RefusedError
from controller.access.door import FILES
from controller.api.errors import answer, refusal
from controller.api.file_response import OpenFileResponse
from controller.api.ranges import Span, continues, is_known, wanted_span
from controller.downloads import Downloads
from controller.models.store import DIGEST, ArtifactStore

IMMUTABLE = "public, max-age=31536000, immutable"
READS = frozenset({"GET", "HEAD"})
NOT_MODIFIED = 304
PARTIAL = 206
RANGE_NOT_SATISFIABLE = 416


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which of the bytes a client asks for, and which file it has already."""

    range: str | None
    if_range: str | None
    if_none_match: str | None

    @classmethod
    def of(cls, headers: Headers) -> "Asked":
        """Return what the headers of a request say of it."""
        return cls(
            range=headers.get("range"),
            if_range=headers.get("if-range"),
            if_none_match=headers.get("if-none-match"),
        )


@dataclass(frozen=True, slots=True)
class Files:
    """An application around `app`, which is left what takes longer or is refused: its route does both."""

    app: ASGIApp
    store: ArtifactStore
    downloads: Downloads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a file that is known to be sound, while there are not too many."""
        if scope["type"] != "http" or scope["method"] not in READS or not scope["path"].startswith(FILES):
            await self.app(scope, receive, send)
            return
        try:
            with self.downloads.one_more() if scope["method"] == "GET" else nullcontext():
                await (self._at_once(scope) or self.app)(scope, receive, send)
        except RefusedError as error:
            await refusal(error)(scope, receive, send)

    def _at_once(self, scope: Scope) -> Response | None:
        sha256 = scope["path"].removeprefix(FILES)
        if not DIGEST.fullmatch(sha256) or not self.store.is_verified(sha256):
            return None
        try:
            file = self.store.open(sha256)
        except (ArtifactError, NotFoundError):
            return None  # it changed in this moment
        return response(file, sha256, Asked.of(Headers(scope=scope)), cache=IMMUTABLE)


async def serve(store: ArtifactStore, sha256: str, asked: Asked, *, cache: str) -> Response:
    """Return the file as an answer, verified before. Raises NotFoundError or ArtifactError."""
    at_once = DIGEST.fullmatch(sha256) and store.is_verified(sha256)
    file = store.open(sha256) if at_once else await asyncio.to_thread(store.open, sha256)
    return response(file, sha256, asked, cache=cache)


def response(file: IO[bytes], sha256: str, asked: Asked, *, cache: str) -> Response:
    """Return as much of an open file as is asked for."""
    tag = f'"{sha256}"'
    headers = {"ETag": tag, "X-Checksum-SHA256": sha256, "Accept-Ranges": "bytes", "Cache-Control": cache}
    if is_known(asked.if_none_match, tag):
        file.close()
        return Response(status_code=NOT_MODIFIED, headers=headers)
    return _ranged(file, asked.range if continues(asked.if_range, tag) else None, headers)


def _ranged(file: IO[bytes], asked: str | None, headers: dict[str, str]) -> Response:
    size = file.seek(0, 2)
    try:
        span = wanted_span(asked, size)
    except InvalidError as error:
        file.close()
        refusal = answer(RANGE_NOT_SATISFIABLE, error.message, error.code, error.hint)
        refusal.headers["Content-Range"] = f"bytes */{size}"
        return refusal
    if span is None:
        return OpenFileResponse(file, Span(0, size), headers=headers)
    headers |= {"Content-Range": f"bytes {span.start}-{span.end - 1}/{size}"}
    return OpenFileResponse(file, span, status_code=PARTIAL, headers=headers)
