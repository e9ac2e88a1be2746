"""Refuses a body that is too long, or that only Python takes for JSON: NaN, infinities, half a character of two."""

from dataclasses import dataclass

import msgspec
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from controller.api.errors import answer

MOST_BYTES = 8_000_000
"""More than any body that makes sense; files are not JSON and have a limit of their own."""

WRITES = frozenset({"POST", "PUT", "DELETE", "PATCH"})
HINT = "see /docs for what this path takes"


@dataclass(frozen=True, slots=True)
class Exact:
    """An application around `app`, which would keep such a body and could not tell of it again."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on files, and whatever else is not too long and, if it is JSON, such that every reader takes it."""
        is_json = scope["type"] == "http" and "json" in Headers(scope=scope).get("content-type", "")
        if not is_json and (scope["type"] != "http" or scope["method"] not in WRITES or is_file(scope)):
            await self.app(scope, receive, send)
            return
        body = await read(receive, MOST_BYTES)
        if body is None:
            refusal = answer(413, f"the body is larger than {MOST_BYTES:,} bytes", "too_large", "send less at once")
        elif is_json and body and (flaw := _flaw(body)):
            refusal = answer(422, f"the body is no JSON: {flaw}", "invalid", HINT)
        else:
            await self.app(scope, told(body, receive), send)
            return
        await refusal(scope, receive, send)


def is_file(scope: Scope) -> bool:
    """Whether a request brings a model's file, which has a limit of its own."""
    return str(scope["path"]).startswith(("/api/models/upload", "/api/models/analyze"))


async def read(receive: Receive, most: int) -> bytes | None:
    """Return the body, None for one of more than `most` bytes."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message["type"] == "http.request" and message.get("more_body", False)
        if len(body) > most:
            return None
    return bytes(body)


def told(body: bytes, receive: Receive | None) -> Receive:
    """Return what gives `body` again, and then whatever else comes."""
    given = False

    async def tell() -> Message:
        nonlocal given
        if given and receive is not None:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return tell


def _flaw(body: bytes) -> str:
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return str(error)
    return ""
