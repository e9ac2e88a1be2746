"""Reads what a client asks of a file's bytes: Range, If-Range, If-None-Match."""

import re
from dataclasses import dataclass

from broker.errors import InvalidError

_ONE = re.compile(r"(\d*)-(\d*)")
MOST_DIGITS = 18
"""No file is longer, and Python refuses to read numbers of thousands of digits."""


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes from `start` up to `end`, which is not part of it."""

    start: int
    end: int


def wanted_span(header: str | None, size: int) -> Span | None:
    """Return which bytes of a file of `size` bytes a Range asks for, or None for all of it.

    Units other than bytes are none of ours, and ranges that do not make one piece are answered by the whole file, as
    RFC 9110 14.2 allows. Raises InvalidError for a Range that is malformed or outside the file.
    """
    if header is None:
        return None
    unit, found, rest = header.partition("=")
    if unit.strip().lower() != "bytes":
        return None
    pieces = [_piece(text.strip(), size) for text in rest.split(",") if text.strip()] if found else []
    if not pieces:
        raise _unsatisfiable(header, size)
    inside = sorted((p for p in pieces if p.start < p.end), key=lambda p: p.start)
    if not inside:
        raise _unsatisfiable(header, size)
    joined = inside[0]
    for piece in inside[1:]:
        if piece.start > joined.end:
            return None
        joined = Span(joined.start, max(joined.end, piece.end))
    return joined


def continues(if_range: str | None, tag: str) -> bool:
    """Return whether a Range holds for the file of `tag`: a date never does, contents are told apart by their hash."""
    return if_range is None or if_range.strip() == tag


def is_known(if_none_match: str | None, tag: str) -> bool:
    """Return whether the client has the file of `tag` already."""
    if if_none_match is None:
        return False
    known = (each.strip().removeprefix("W/") for each in if_none_match.split(","))
    return any(each in ("*", tag) for each in known)


def _piece(text: str, size: int) -> Span:
    match = _ONE.fullmatch(text)
    if match is None or text == "-" or max(map(len, match.groups())) > MOST_DIGITS:
        raise _unsatisfiable(text, size)
    first, last = match.groups()
    if not first:
        return Span(max(size - int(last), 0), size)
    if last and int(last) < int(first):
        raise _unsatisfiable(text, size)
    return Span(min(int(first), size), min(int(last) + 1, size) if last else size)


def _unsatisfiable(asked: str, size: int) -> InvalidError:
    return InvalidError(
        f"the file has {size} bytes, and not the range {asked[:80]!r}",
        code="bad_range",
        hint=f"bytes=0-{size - 1} is all of it",
    )
