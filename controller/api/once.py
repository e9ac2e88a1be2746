"""Does a write once however often it is asked for under one `Idempotency-Key`."""

import hashlib
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from broker.errors import StorageError
from controller.answers import Answers, Earlier
from controller.api.errors import answer
from controller.api.errors import refusal as refused
from controller.api.exact import read, told

logger = logging.getLogger(__name__)

HEADER = "Idempotency-Key"
KEY = re.compile(r"[\x21-\x7e]{1,200}")
WRITES = frozenset({"POST", "PUT", "DELETE", "PATCH"})
MOST_BYTES = 1_000_000
"""A larger body is a model's file, which is kept by its content anyway: its key is not looked at."""

LEFT_ALONE = ("/api/models/upload", "/api/models/analyze", "/api/tokens", "/api/enroll")

FAILED = 500


@dataclass(slots=True)
class Once:
    """An application around `app`; `_busy` are the keys of writes that are at work in this life of the controller."""

    app: ASGIApp
    answers: Answers
    clock: Callable[[], float]
    _busy: set[str] = field(default_factory=set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is no write or has no key."""
        headers = Headers(scope=scope) if scope["type"] == "http" and scope["method"] in WRITES else Headers()
        key = headers.get(HEADER)
        if key is None or _announced(headers) > MOST_BYTES or _is_left_alone(scope):
            await self.app(scope, receive, send)
            return
        if not KEY.fullmatch(key):
            refusal = answer(422, f"{HEADER} is none", "invalid", "1 to 200 printable characters, such as a UUID")
            await refusal(scope, receive, send)
            return
        body = await read(receive, MOST_BYTES)
        if body is None:
            refusal = answer(413, f"the body is larger than {MOST_BYTES:,} bytes", "too_large", "send less")
            await refusal(scope, told(b"", None), send)
            return
        try:
            earlier = self.answers.begin(key, _fingerprint(scope, body), self.clock())
        except StorageError as error:
            await refused(error)(scope, receive, send)
            return
        if earlier is not None:
            await self._again(earlier, key, scope, body, send)
            return
        self._busy.add(key)
        try:
            await self._first(key, scope, body, receive, send)
        finally:
            self._busy.discard(key)

    async def _first(self, key: str, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        """Do it, and note the answer before anybody sees it."""
        said: list[Message] = []

        async def hear(message: Message) -> None:
            said.append(message)

        await self.app(scope, told(body, receive), hear)
        status, content = said[0]["status"], b"".join(message.get("body", b"") for message in said[1:])
        try:
            if status >= FAILED:
                self.answers.forget(key)
            else:
                self.answers.keep(key, status, content)
        except StorageError as error:
            logger.error("what was answered could not be noted: %s", error.message)  # noqa: TRY400 - a sentence, not a trace
        for message in said:
            await send(message)

    async def _again(self, earlier: Earlier, key: str, scope: Scope, body: bytes, send: Send) -> None:
        if earlier.fingerprint != _fingerprint(scope, body):
            code, what, hint = "key_reused", f"this {HEADER} was used for another request", "take a new key for it"
        elif earlier.status is None and key in self._busy:
            code, what, hint = "in_progress", "the same write is at work", "ask again in a moment"
        elif earlier.status is None:
            code, what = "outcome_unknown", "it is not known how this write ended: the controller did, or failed"
            hint = "look at the events whether it was done, and ask with a new key if not"
        else:
            start = {"type": "http.response.start", "status": earlier.status}
            headers = [(b"content-type", b"application/json"), (b"idempotency-replayed", b"true")]
            await send(start | {"headers": [*headers, (b"content-length", str(len(earlier.body)).encode())]})
            await send({"type": "http.response.body", "body": earlier.body})
            return
        await answer(409, what, code, hint)(scope, told(b"", None), send)


def _fingerprint(scope: Scope, body: bytes) -> str:
    """Return what makes two writes the same: who asks, for what."""
    principal = scope.get("state", {}).get("principal")
    whose = f"{principal.name}\n" if principal is not None and principal.name else ""
    head = f"{whose}{scope['method']} {scope['path']}?{scope['query_string'].decode('latin-1')}\n".encode()
    return hashlib.sha256(head + body).hexdigest()


def _announced(headers: Headers) -> int:
    length = headers.get("content-length", "")
    return int(length) if length.isdecimal() else 0


def _is_left_alone(scope: Scope) -> bool:
    """Whether it is a file, or its answer holds a secret that is to be kept nowhere."""
    path = str(scope["path"])
    return path.startswith(LEFT_ALONE) or path.endswith("/enroll")
