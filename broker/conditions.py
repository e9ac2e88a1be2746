"""What a deployment may be told to wait for and to keep, checked in the same words for every way in; pure."""

import math
import re
from collections.abc import Mapping
from datetime import time
from typing import Any

from broker.commands import Command, Conditions
from broker.errors import InvalidError

MOST_LATENCY_MS = 600_000.0
MOST_SOAK_S = 43_200.0
"""Half a day: a deployment ends within a day, and its other steps need their time too."""

COLDEST_C, HOTTEST_C = -40.0, 150.0
FULL_PCT = 100.0

WAITS_FOR = {
    "controller": "its completion: a request by name has no file yet",
    "soc": "the battery to reach `when.soc_min_pct`",
    "charging": "the battery to charge, or not to, as `when.charging` says",
    "temp": "the device to cool down to `when.temp_max_c`",
    "window": "the time of day in `when.window`, by its own clock",
    "disk": "room for the file, an hour at most",
}
"""What a device may wait for, by the word that it says as `reason`."""

_WINDOW = re.compile(r"(\d\d:\d\d(?::\d\d)?)\s*-\s*(\d\d:\d\d(?::\d\d)?)")


def window_of(text: str) -> tuple[time, time]:
    """Return when `text` (`22:00-05:00`, local time) opens and closes; it passes midnight where it closes earlier.

    Raises InvalidError (`bad_window`).
    """
    found = _WINDOW.fullmatch(text.strip())
    try:
        begin, end = (_clock(part) for part in found.groups()) if found else (None, None)
    except ValueError:
        begin = end = None
    if begin is None or end is None or begin == end:
        raise InvalidError(
            f"'{text[:40]}' is no window", code="bad_window", hint="write 00:00-05:00", field="when.window"
        )
    return begin, end


def within(window: str, clock: time) -> bool:
    """Return whether `clock` lies in `window` (`22:00-05:00` passes midnight). Raises InvalidError."""
    begin, end = window_of(window)
    return begin <= clock < end if begin <= end else clock >= begin or clock < end


def check_terms(*, latency_ms: float | None, when: Conditions | None, soak_s: float | None) -> None:
    """Raise InvalidError (`bad_budget`, `bad_window`, `bad_condition`) that names the field which no device could keep.

    `latency_ms` bounds the p95 of an inference, `when` is what a device waits for, `soak_s` how long it watches.
    """
    if latency_ms is not None and not 0 < latency_ms <= MOST_LATENCY_MS:
        raise InvalidError(
            f"max_latency_ms must be above 0 and at most {MOST_LATENCY_MS:.0f}, not {latency_ms:g}",
            code="bad_budget",
            hint="the p95 of one inference in ms; leave it out for no budget",
            field="max_latency_ms",
        )
    _within("soak_s", soak_s, 0.0, MOST_SOAK_S, "s")
    if when is None:
        return
    _within("when.soc_min_pct", when.soc_min_pct, 0.0, FULL_PCT, "%")
    _within("when.temp_max_c", when.temp_max_c, COLDEST_C, HOTTEST_C, "°C")
    if when.window is not None:
        window_of(when.window)


def in_words(when: Mapping[str, Any]) -> str:
    """Return the conditions in a document as people read them; empty for none."""
    charging = when.get("charging")
    said = [
        f"battery at {when['soc_min_pct']:g} % or more" if when.get("soc_min_pct") is not None else "",
        ("it charges" if charging else "it does not charge") if charging is not None else "",
        f"at most {when['temp_max_c']:g} °C" if when.get("temp_max_c") is not None else "",
        f"between {when['window'].replace('-', ' and ')}, its own time" if when.get("window") else "",
    ]
    return ", ".join(filter(None, said))


def check_deploy(command: Command) -> None:
    """Raise InvalidError for a deploy whose conditions, soak or latency budget make no sense."""
    check_terms(latency_ms=command.budget_ms, when=command.when, soak_s=command.soak_s)


def _within(field: str, value: float | None, low: float, high: float, unit: str) -> None:
    if value is not None and not (math.isfinite(value) and low <= value <= high):
        said = f"{field} must be from {low:g} to {high:g} {unit}, not {value:g}"
        raise InvalidError(said, code="bad_condition", hint="leave it out for no condition", field=field)


def _clock(text: str) -> time:
    return time.max if text in ("24:00", "24:00:00") else time.fromisoformat(text)
