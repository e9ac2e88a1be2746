"""Speaks to balena's API over HTTP: asks, and changes one named thing at a time."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx

from broker.errors import ConflictError, NotFoundError, UnreachableError
from controller.balena import busy
from controller.balena.answers import Row, rows, strange
from controller.balena.questions import Question, Write
from controller.balena.token import WHERE_TO_SET, Token

CONNECT_S = 5.0
BUSY_S = 5.0
"""How long one is willing to wait, all together, when balena has too much to do."""
SAID = 200
"""So much of balena's own words is passed on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """Where balena's API is, who asks, and how long everything may take that one caller wants to know."""

    url: str
    token: Token
    within_s: float
    clock: Callable[[], float] = time.time

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Session"]:
        """Give a connection for what one caller wants to know. Raises UnreachableError when that takes too long."""
        secure, host = self.url.startswith("https:"), urlsplit(self.url).netloc
        client = httpx.AsyncClient(
            base_url=self.url,
            headers={**self.token.headers, "Accept": "application/json"},
            timeout=httpx.Timeout(self.within_s, connect=CONNECT_S),
            verify=_trusted() if secure else False,
            trust_env=secure,
        )
        try:
            async with asyncio.timeout(self.within_s), client:
                yield Session(http=client, host=host, clock=self.clock)
        except (TimeoutError, httpx.TimeoutException):
            hint = "ask again; what was to be written may have been done"
            raise UnreachableError(
                f"balena at {host} does not answer within {self.within_s:g} s", code="balena_timed_out", hint=hint
            ) from None


@dataclass(slots=True, kw_only=True)
class Session:
    """What is asked over one connection; `patience_s` is what is left for waiting when balena is busy."""

    http: httpx.AsyncClient
    host: str
    clock: Callable[[], float]
    patience_s: float = field(default=BUSY_S)

    async def rows(self, question: Question) -> list[Row]:
        """Return the things that a question is about."""
        return rows(await self.document(question))

    async def document(self, question: Question) -> Any:
        """Return an answer as it is."""
        answer = await self._asked("GET", question.path, params=dict(question.query))
        try:
            return answer.json()
        except ValueError:
            raise strange("answered something that is no JSON") from None

    async def write(self, write: Write) -> None:
        """Change one thing; the only way in which anything is written."""
        await self._asked("PATCH", write.path, json=dict(write.fields))

    async def _asked(self, method: str, path: str, **options: Any) -> httpx.Response:
        while True:
            try:
                answer = await self.http.request(method, path, **options)
            except (httpx.NetworkError, httpx.ProtocolError, httpx.ProxyError, httpx.ConnectTimeout) as error:
                why = str(error) or type(error).__name__
                hint = "is this machine on the network, and balena_api_url right?"
                raise UnreachableError(
                    f"balena at {self.host} cannot be reached: {why}", code="balena_unreachable", hint=hint
                ) from None
            if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                return _sound(answer)
            await self._wait(busy.wait_s(answer.headers.get("Retry-After"), self.clock()))

    async def _wait(self, seconds: float) -> None:
        if seconds > self.patience_s:
            again = busy.until(seconds, self.clock())
            raise UnreachableError(
                "balena has had too many requests and takes no more for now",
                code="balena_busy",
                hint=f"ask again at {again}",
                retry_after_s=round(seconds, 1),
            )
        self.patience_s -= max(seconds, busy.UNSAID_S / 10)
        await asyncio.sleep(seconds)


@cache
def _trusted() -> ssl.SSLContext:
    """Return the authorities that are believed; reading them takes long enough to do it once."""
    return httpx.create_ssl_context()


def _sound(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    status, said = answer.status_code, _said(answer)
    if status == httpx.codes.UNAUTHORIZED:
        raise ConflictError("balena does not know the token (401)", code="balena_unauthorized", hint=WHERE_TO_SET)
    if status == httpx.codes.FORBIDDEN:
        hint = "the token has to be of a user who may do this; the key of a device or fleet is not enough"
        raise ConflictError(f"balena's token may not do this (403){said}", code="balena_unauthorized", hint=hint)
    if status == httpx.codes.NOT_FOUND:
        hint = "`edgewatt balena devices` lists what the token sees"
        raise NotFoundError(f"balena has nothing there (404){said}", code="unknown_at_balena", hint=hint)
    if answer.is_client_error:
        hint = "balena's own words are above; nothing was changed"
        raise ConflictError(f"balena refuses this ({status}){said}", code="balena_refused", hint=hint)
    if answer.is_server_error:
        hint = "status.balena.io tells of disturbances; nothing is wrong here"
        raise UnreachableError(f"balena has a fault of its own ({status}){said}", code="balena_failed", hint=hint)
    raise strange(f"answered {status}")


def _said(answer: httpx.Response) -> str:
    """Return balena's own words, where they are words."""
    text = answer.text.strip().strip('"')
    plain = text and not text.startswith("<") and text.isprintable()
    return f": {text[:SAID]}" if plain else ""
