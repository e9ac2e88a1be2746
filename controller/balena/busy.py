"""How long to wait when balena answers 429; pure."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite

UNSAID_S = 1.0
"""What is waited where the answer does not say how long."""


def wait_s(retry_after: str | None, now: float) -> float:
    """Return the seconds that a Retry-After asks for: a number, or the distance of a date from `now` (Unix s)."""
    if retry_after is None:
        return UNSAID_S
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - now
        except ValueError:
            return UNSAID_S
    return max(0.0, seconds) if isfinite(seconds) else UNSAID_S


def until(seconds: float, now: float) -> str:
    """Return when it may be asked again, as a person reads it."""
    again = datetime.fromtimestamp(now + seconds, UTC)
    return f"{again:%H:%M:%S} UTC, in {seconds:.0f} s"
