"""How figures read: units always, absent as a dash."""

import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from controller.sleep import promise

ABSENT = "–"
_STEPS = ((60, 1, "s"), (3_600, 60, "min"), (172_800, 3_600, "h"), (math.inf, 86_400, "d"))


def number(value: float | None, unit: str = "", digits: int = 3) -> str:
    """Return `value` with `digits` significant ones and its unit, never as an exponent."""
    if value is None:
        return ABSENT
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value)))) if value else 0
    text = f"{value:,.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{text} {unit}".rstrip()


def mj(value: float | None) -> str:
    """Return an energy per inference."""
    return number(value, "mJ")


def interval(low_mj: float | None, high_mj: float | None) -> str:
    """Return a 95 % interval of an energy per inference."""
    if low_mj is None or high_mj is None:
        return ABSENT
    low, high = number(low_mj), number(high_mj)
    return f"{low} mJ" if low == high else f"{low}–{high} mJ"


def span(seconds: float | None) -> str:
    """Return a duration in its largest fitting unit."""
    if seconds is None:
        return ABSENT
    limit, divisor, unit = next(step for step in _STEPS if seconds < step[0])
    del limit
    return f"{max(0.0, seconds) / divisor:.0f} {unit}"


def ago(ts: float | None, now: float | None = None) -> str:
    """Return how long ago the Unix time `ts` was."""
    return ABSENT if ts is None else f"{span((time.time() if now is None else now) - ts)} ago"


def clock(ts: float | None) -> str:
    """Return the Unix time `ts` as UTC, to the second."""
    return ABSENT if ts is None else datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def promised(document: Mapping[str, Any], now: float | None = None) -> str:
    """Return when a sleeping device will do what is asked of it, or a waiting one goes on, as the end of a sentence."""
    wake_at, eta, now = document.get("will_apply_at"), document.get("eta"), time.time() if now is None else now
    if wake_at is not None:
        return f"; {promise(wake_at, now)}"
    return "" if eta is None else f"; goes on in about {span(eta - now)}, at {clock(eta)}"


def text(value: object) -> str:
    """Return any value of a document as one line."""
    return ABSENT if value is None or value == "" else str(value)
