"""Times as people write them: a clock, a day, how long ago; pure."""

import re
from datetime import UTC, datetime, timedelta

from broker.errors import InvalidError

AGO = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d)(?:\s+ago)?")
SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d)")
SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400}
CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
UNIX = re.compile(r"\d{1,11}(?:\.\d+)?")
HINT = "14:02, 2026-11-25, 2026-11-25T14:02, 90min (ago), or Unix seconds; all in UTC"


def moment(text: str, now: float, field: str = "") -> float | None:
    """Return the Unix time that `text` means, None for no text; a clock is the last time that it showed that, UTC.

    Raises InvalidError that names `field`.
    """
    text = text.strip()
    if not text:
        return None
    if found := AGO.fullmatch(text):
        return now - float(found[1]) * SECONDS[found[2]]
    if UNIX.fullmatch(text):
        return float(text)
    try:
        return _clock(text, now) if CLOCK.fullmatch(text) else _date(text)
    except (ValueError, OverflowError):
        raise InvalidError(f"'{text[:40]}' is no time", hint=HINT, field=field) from None


def seconds(text: str, field: str = "") -> float:
    """Return how many seconds a span such as `90min` is. Raises InvalidError that names `field`."""
    found = SPAN.fullmatch(text.strip())
    if found is None:
        raise InvalidError(f"'{text[:40]}' is no span of time", hint="write 90s, 90min, 2h or 1d", field=field)
    return float(found[1]) * SECONDS[found[2]]


def _clock(text: str, at: float) -> float:
    hour, minute, second = (int(part or 0) for part in CLOCK.fullmatch(text).groups())  # type: ignore[union-attr]  # matched before
    found = datetime.fromtimestamp(at, UTC).replace(hour=hour, minute=minute, second=second, microsecond=0)
    return (found if found.timestamp() <= at else found - timedelta(days=1)).timestamp()


def _date(text: str) -> float:
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
