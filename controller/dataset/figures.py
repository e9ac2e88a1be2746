"""Reads a figure out of a cell as people write it: comma decimals, thousands, suffixes, units, words for nothing."""

import math
import re
from typing import NamedTuple

from broker.errors import InvalidError

NOTHING = frozenset(
    ("", "-", "--", "–", "—", "?", "n/a", "n.a.", "na", "nan", "none", "null", "nil", "#n/a", "missing", "unknown")
)
"""What stands in a cell where there is no figure."""

PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
WRITTEN = re.compile(
    r"(?P<sign>[+-]?)(?P<body>(?:\d[\d.,'’ \u00a0\u202f]*\d|\d)|[.,]\d+)(?P<power>[eE][+-]?\d+)?"
    r"[ \u00a0]?(?P<unit>[A-Za-zµμ]{0,16})"
)
LONGEST = 64
"""Characters of a cell that may still be a number with its unit."""

SPACES = "'’ \u00a0\u202f"


class Figure(NamedTuple):
    """A finite number and the unit, or suffix, that stood with it, in lower case; empty where there was none."""

    value: float
    unit: str = ""


def read(text: str, *, decimal_comma: bool | None = None) -> Figure | None:
    """Return the figure in `text`, None where a word for nothing stands.

    `decimal_comma` says what a lone comma means in this file, None when nothing told. Raises InvalidError for what is
    no finite number, and for one that could be two: 1,234 where it is not known what a comma means.
    """
    text = text.strip().replace("−", "-")
    if text.lower() in NOTHING:
        return None
    if len(text) > LONGEST:
        raise InvalidError(f"'{text[:20]}…' is no number", code="not_a_number")
    if PLAIN.fullmatch(text) and not (decimal_comma and "." in text):
        return Figure(_finite(float(text), text))
    found = WRITTEN.fullmatch(text)
    if found is None:
        raise InvalidError(f"'{text}' is no number", code="not_a_number")
    body = _decimal_point(found["body"], text, decimal_comma)
    value = float(f"{found['sign']}{body}{found['power'] or ''}")
    return Figure(_finite(value, text), found["unit"].replace("μ", "µ").lower())


def tells_decimal_comma(text: str) -> bool:
    """Return whether the comma in `text` can only be a decimal mark: 1,5 or 0,123 but not 1,234."""
    return bool(re.fullmatch(r"[+-]?(?:\d+,(?:\d{1,2}|\d{4,})|0\d*,\d+)", text.strip()))


def _decimal_point(body: str, text: str, decimal_comma: bool | None) -> str:
    """Return `body` with a decimal point and without marks between thousands."""
    for space in SPACES:
        if space in body:
            body = _ungrouped(body, space, text)
    marks = [mark for mark in (",", ".") if mark in body]
    if len(marks) == 2:  # noqa: PLR2004 - both marks: the last is the decimal one
        last = max(marks, key=body.rindex)
        whole, _, fraction = body.rpartition(last)
        other = "," if last == "." else "."
        return f"{_ungrouped(whole, other, text)}.{fraction}"
    if not marks:
        return body
    return _one_mark(body, marks[0], text, decimal_comma)


def _one_mark(body: str, mark: str, text: str, decimal_comma: bool | None) -> str:
    if body.count(mark) > 1:
        return _ungrouped(body, mark, text)
    could_be_thousands = _grouped(body, mark) and not body.startswith("0")
    if not could_be_thousands or (mark == "." and not decimal_comma):
        return body.replace(mark, ".")
    if mark == "," and decimal_comma is not None:
        return body.replace(",", "." if decimal_comma else "")
    raise InvalidError(
        f"'{text}' could be {body.replace(mark, '.')} or {body.replace(mark, '')}",
        code="ambiguous_number",
        hint="write it without a mark between thousands",
    )


def _ungrouped(body: str, mark: str, text: str) -> str:
    whole, point, fraction = body, "", ""
    if mark in SPACES:
        cut = min((body.index(each) for each in ",." if each in body), default=len(body))
        whole, point, fraction = body[:cut], body[cut : cut + 1], body[cut + 1 :]
    if not _grouped(whole, mark):
        raise InvalidError(f"'{text}' is no number", code="not_a_number")
    return whole.replace(mark, "") + point + fraction


def _grouped(body: str, mark: str) -> bool:
    first, *rest = body.split(mark)
    return bool(rest) and 1 <= len(first) <= 3 and all(len(each) == 3 for each in rest)  # noqa: PLR2004 - thousands


def _finite(value: float, text: str) -> float:
    if not math.isfinite(value):
        raise InvalidError(f"'{text}' is no finite number", code="not_a_number")
    return value
