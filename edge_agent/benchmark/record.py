"""Reads what an external meter wrote: a CSV with times and powers, in the forms that loggers have."""

import csv
import math
import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from broker.errors import InvalidError

FEWEST = 10
MOST_UNREADABLE = 0.1

EPOCH_S, EPOCH_MS = 1e9, 1e12
"""Numbers above these are Unix time in seconds and in milliseconds; smaller ones count from any beginning."""

DAY_S = 86_400.0

FORMS = ("%m-%d-%Y %H:%M:%S.%f", "%d.%m.%Y %H:%M:%S.%f", "%d.%m.%Y %H:%M:%S", "%Y/%m/%d %H:%M:%S.%f")
FORMS_OF_SECONDS = ("%Y/%m/%d %H:%M:%S", "%m/%d/%Y %H:%M:%S")

_TIME = re.compile(r"\b(time|timestamp|date|datetime|elapsed|seconds?|t)\b")
_POWER = re.compile(r"\b(power|watts?|m?w|p|milliwatts?)\b")
_NO_POWER = re.compile(r"\b(m?wh|energy|factor|volts?|amps?)\b")
_MILLI = re.compile(r"\b(mw|milliwatts?)\b")
_UNITS_S = {"us": 1e-6, "ms": 1e-3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Powers in mW at moments in s; `absolute` when those are Unix time by the meter's clock."""

    moments: tuple[float, ...]
    powers_mw: tuple[float, ...]
    absolute: bool

    @property
    def interval_s(self) -> float:
        """The usual time between two readings."""
        return statistics.median(b - a for a, b in pairwise(self.moments))


def read(path: Path, *, time_column: str | None = None, power_column: str | None = None) -> Record:
    """Return the record at `path`; columns that are not named are found by their names.

    A time is a Unix time, a date with time (of this machine's zone where it names none), a time of day, or seconds or
    milliseconds (by the column's name) from any beginning; a power is in W unless its column says mW. Also understood:
    SPEC PTDaemon's lines of names and values. Raises InvalidError (`bad_record`).
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise _refused(path, f"it cannot be read: {error.strerror}") from None
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    names, rows = _cells(lines)
    when = _column(path, names, time_column, "time", lambda name: bool(_TIME.search(name)))
    power = _column(
        path, names, power_column, "power", lambda name: bool(_POWER.search(name)) and not _NO_POWER.search(name)
    )
    unit_s = next((s for unit, s in _UNITS_S.items() if unit in _words(names[when]).split()), 1.0)
    factor = 1.0 if _MILLI.search(_words(names[power])) else 1_000.0
    found = [(_moment(row[when], unit_s), _number(row[power])) for row in rows if len(row) > max(when, power)]
    pairs = [(at, mw * factor) for at, mw in found if at is not None and mw is not None]
    if len(pairs) < FEWEST or len(pairs) < (1 - MOST_UNREADABLE) * len(rows):
        raise _refused(path, f"{len(pairs)} of its {len(rows)} lines have a time and a power in those columns")
    return _record(path, pairs)


def _record(path: Path, pairs: Sequence[tuple[float, float]]) -> Record:
    """Return `pairs` in the order of time, midnights passed and repeated lines left out."""
    moments, powers, days = [pairs[0][0]], [pairs[0][1]], 0.0
    for at, mw in pairs[1:]:
        if pairs[0][0] < DAY_S and moments[-1] - (at + days) > DAY_S / 2:
            days += DAY_S
        if at + days < moments[-1]:
            raise _refused(path, "its times run backwards; was its clock set meanwhile?")
        if at + days > moments[-1]:
            moments.append(at + days)
            powers.append(mw)
    if len(moments) < FEWEST:
        raise _refused(path, f"it has {len(moments)} different times")
    return Record(moments=tuple(moments), powers_mw=tuple(powers), absolute=moments[0] >= EPOCH_S)


def _cells(lines: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Return the names of the columns and the rows of `lines`."""
    first = lines[0] if lines else ""
    delimiter = max(";\t,", key=first.count)
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    if not rows:
        return [], []
    if len(rows) > 1 and rows[0][0::2] == rows[1][0::2] and _number(rows[0][0]) is None:  # PTDaemon names each value
        return rows[0][0::2], [row[1::2] for row in rows]
    if delimiter == ";":
        rows = [rows[0], *([cell.replace(",", ".") for cell in row] for row in rows[1:])]
    return rows[0], rows[1:]


def _column(path: Path, names: Sequence[str], wanted: str | None, what: str, fits: Callable[[str], bool]) -> int:
    if wanted is not None and wanted not in names:
        raise _refused(path, f"it has no column '{wanted}' but {', '.join(names)[:200]}")
    found = [i for i, name in enumerate(names) if (name == wanted if wanted is not None else fits(_words(name)))]
    if not found:
        raise _refused(path, f"none of its columns is a {what}: {', '.join(names)[:200]}")
    return found[0]


def _words(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", name.lower())


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _moment(text: str, unit_s: float) -> float | None:
    """Return `text` in seconds, Unix time or from any beginning; None for what is no time."""
    value = _number(text)
    if value is not None:
        if value >= EPOCH_MS:
            return value / 1_000
        return value if value >= EPOCH_S else value * unit_s
    clock = re.fullmatch(r"(\d{1,2}):(\d\d):(\d\d(?:\.\d+)?)", text)
    if clock:
        hours, minutes, seconds = (float(part) for part in clock.groups())
        return hours * 3_600 + minutes * 60 + seconds
    return _date(text)


def _date(text: str) -> float | None:
    for parse in (datetime.fromisoformat, *(_by(form) for form in (*FORMS, *FORMS_OF_SECONDS))):
        try:
            return parse(text).timestamp()
        except (ValueError, OverflowError, OSError):
            continue
    return None


def _by(form: str) -> Callable[[str], datetime]:
    return lambda text: datetime.strptime(text, form)  # noqa: DTZ007 - a logger's time is local, as `timestamp` takes it


def _refused(path: Path, why: str) -> InvalidError:
    hint = "name its columns with --meter-time-column and --meter-power-column"
    return InvalidError(f"{path.name} is no record of power: {why}", code="bad_record", hint=hint)
