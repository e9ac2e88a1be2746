"""Reads what an HTTP server says about a resumed download."""

import http.client
import re
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit

from broker.errors import ArtifactError

OK, PARTIAL, RANGE_NOT_SATISFIABLE = 200, 206, 416
BUSY = frozenset({429, 503})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MOST_REDIRECTS = 3
GONE = frozenset({400, 401, 403, 404, 405, 410, 451})
MOST_BUSY_WAIT_S = 3600.0

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class TryAgainError(Exception):
    """This attempt failed; another may not."""


class BusyError(Exception):
    """The server asks for patience: not a failed attempt."""

    def __init__(self, wait_s: float | None) -> None:
        """Keep how long it asked us to wait, if it said."""
        super().__init__("the server is busy")
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Where to go on, and the tag of the file that the first bytes came from."""

    offset: int = 0
    tag: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The request headers that ask for the rest only."""
        if not self.offset:
            return {"Accept-Encoding": "identity"}
        condition = {"If-Range": self.tag} if self.tag else {}
        return {"Accept-Encoding": "identity", "Range": f"bytes={self.offset}-", **condition}


@contextmanager
def opening(
    url: str, resume: Resume, *, timeout_s: float, allowed: Callable[[str], None], ca_file: str = ""
) -> Iterator[http.client.HTTPResponse]:
    """Yield the server's answer, after at most three redirects to hosts that `allowed` does not refuse.

    `ca_file` is an authority that is believed besides the system's.
    """
    for _ in range(MOST_REDIRECTS + 1):
        connection = _connection(url, timeout_s, ca_file)
        try:
            parts = urlsplit(url)
            connection.request("GET", parts.path + (f"?{parts.query}" if parts.query else ""), headers=resume.headers)
            answer = connection.getresponse()
            with answer:
                if answer.status not in REDIRECTS:
                    yield answer
                    return
                url = urljoin(url, answer.getheader("Location", ""))
            allowed(url)
        finally:
            connection.close()
    raise ArtifactError("the server redirects for ever", code="not_served")


def ask(answer: http.client.HTTPResponse, resume: Resume, size: int) -> int | None:
    """Return the offset at which the answer's body begins; None when the partial file has to be dropped.

    Raises BusyError, TryAgainError, and ArtifactError (`not_served`, `size_mismatch`).
    """
    if answer.status in BUSY:
        raise BusyError(retry_after_s(answer.getheader("Retry-After"), now=time.time()))
    if answer.status in GONE:
        raise ArtifactError(f"the server answers {answer.status} {answer.reason}", code="not_served")
    if answer.status == RANGE_NOT_SATISFIABLE:
        return None
    if answer.status == OK:
        _check_length(answer, size)
        return 0
    if answer.status != PARTIAL:
        raise TryAgainError(f"the server answers {answer.status} {answer.reason}")
    start, total = _content_range(answer.getheader("Content-Range", ""))
    if total not in (None, size):
        raise ArtifactError(f"the server's file has {total} bytes instead of {size}", code="size_mismatch")
    if start != resume.offset:
        return None
    _check_length(answer, size - resume.offset)
    return start


def retry_after_s(value: str | None, *, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks for, an hour at most; None when it says nothing usable."""
    if value is None:
        return None
    if value.strip().isdigit():
        return min(float(value), MOST_BUSY_WAIT_S)
    try:
        return min(max(parsedate_to_datetime(value).timestamp() - now, 0.0), MOST_BUSY_WAIT_S)
    except (ValueError, OverflowError):
        return None


def _connection(url: str, timeout_s: float, ca_file: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    if parts.scheme == "https":
        context = ssl.create_default_context()
        if ca_file:
            context.load_verify_locations(ca_file)
        return http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=timeout_s, context=context)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)


def _check_length(answer: http.client.HTTPResponse, expected: int) -> None:
    said = answer.getheader("Content-Length", "")
    if said.isdigit() and int(said) != expected:
        raise ArtifactError(f"the server offers {said} bytes where {expected} are due", code="size_mismatch")


def _content_range(value: str) -> tuple[int | None, int | None]:
    found = _CONTENT_RANGE.fullmatch(value.strip())
    if not found:
        return None, None
    return int(found[1]), None if found[3] == "*" else int(found[3])
