"""When a device that sleeps will wake, by the controller's clock, and how that is said; pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

OVERSLEPT_S = 60.0
"""How much later than it said a device may wake before it is missed."""

LONGEST_SLEEP_S = 604_800.0
"""A week: who says that it sleeps longer is missed then, so that what waits for it ends."""

CLOCK_SLACK_S = 60.0
"""How far a device's clock may be off and still be taken at its word."""


_STEPS = ((172_800, 86_400, "d"), (7_200, 3_600, "h"), (60, 60, "min"), (1, 1, "s"))
"""From how many seconds on a unit is used, and its size."""


def wakes_at(device: Mapping[str, Any]) -> float | None:
    """Return when a device that said it sleeps wakes (Unix s); None when it did not say so, or not until when.

    A board without a clock still knows how long it sleeps: that counts from when the controller heard of it.
    """
    status, heard_at = device["status"] or {}, device["status_at"]
    said_at, wake_at = status.get("ts"), status.get("wake_at")
    if device["online"] != 0 or status.get("reason") != "sleep" or wake_at is None or heard_at is None:
        return None
    if said_at is not None and abs(heard_at - said_at) > CLOCK_SLACK_S:
        wake_at = heard_at + wake_at - said_at
    return float(min(wake_at, heard_at + LONGEST_SLEEP_S))


def asleep_until(device: Mapping[str, Any], now: float) -> float | None:
    """Return when a device wakes that sleeps at time `now`; None when it does not, or overslept."""
    wake_at = wakes_at(device)
    return None if wake_at is None or now >= wake_at + OVERSLEPT_S else wake_at


def promise(wake_at: float, now: float) -> str:
    """Return what is said of something that waits for a device to wake."""
    return f"will apply at {clock(wake_at, now)} ({_ahead(wake_at - now)})"


def absence(device: Mapping[str, Any], now: float) -> str:
    """Return what is said of a device that is not connected, in words that stay true while it is not."""
    wake_at = asleep_until(device, now)
    return "is away" if wake_at is None else f"sleeps until {clock(wake_at, now)}"


def sleeping(wake_at: float, now: float) -> str:
    """Return what is said of a device that sleeps."""
    return f"sleeps until {clock(wake_at, now)} ({_ahead(wake_at - now)})"


def clock(ts: float, now: float) -> str:
    """Return a time as a person says it: with its day only when that is another one."""
    at, today = datetime.fromtimestamp(ts, UTC), datetime.fromtimestamp(now, UTC)
    return at.strftime("%H:%M UTC" if at.date() == today.date() else "%Y-%m-%d %H:%M UTC")


def _ahead(seconds: float) -> str:
    for least, size, unit in _STEPS:
        if seconds >= least:
            return f"in {seconds / size:.0f} {unit}"
    return "any moment"
