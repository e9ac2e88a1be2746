"""Words for figures: ages, amounts with units, kinds of numbers, names of phases and health."""

import math
from datetime import UTC, datetime
from typing import Any, Literal

from broker.energy import MEASURED

Kind = Literal["measured", "modelled", "simulated", "predicted"]
"""How a number came to be; each kind has one mark, everywhere."""

NOTHING = "–"

HEALTH = {
    "live": "live",
    "late": "late",
    "silent": "silent",
    "asleep": "asleep",
    "offline": "offline",
    "never_seen": "never seen",
}
HEALTH_MEANS = {
    "live": "a reading younger than 30 s",
    "late": "the last reading is younger than 5 min",
    "silent": "connected, but no readings",
    "asleep": "it sleeps on purpose and said when it wakes",
    "offline": "the broker says it is gone, or it did not wake",
    "never_seen": "announced, but it never sent a reading",
}
PHASE_MEANS = {
    "requested": "somebody asked for it",
    "predicted": "its energy was predicted",
    "gated": "it passed the budget gate",
    "refused": "the budget gate said no",
    "resolving": "the controller looks for the file, or makes it",
    "ready": "the file is in the store",
    "queued": "it waits for the device",
    "sent": "the command is on its way",
    "accepted": "the device has written it down",
    "waiting": "the device waits for a condition",
    "downloading": "the device fetches the file",
    "verifying": "the device checks size and hash",
    "staged": "the file is in place",
    "loading": "the runtime opens the model",
    "probing": "the device measures before it commits",
    "active": "the model answers",
    "soaking": "it runs under watch before it counts",
    "rolling_back": "the device returns to the model before",
    "succeeded": "done and proven",
    "failed": "it ended with an error",
    "rejected": "the device said no",
    "cancelled": "somebody ended it",
    "superseded": "a newer deployment replaced it",
    "expired": "it was not started in time",
    "timed_out": "no news within the limit",
    "rolled_back": "the model before runs again",
    "rollback_failed": "neither model runs: somebody has to look",
}
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_STEPS = ((60.0, 1.0, "s"), (3_600.0, 60.0, "min"), (86_400.0, 3_600.0, "h"), (math.inf, 86_400.0, "d"))


def out_of_step(drift: str | None) -> str:
    """Return these words of drift where they need somebody; in step, and a governor that saves power, need nobody."""
    return "" if drift is None or drift == "in step" or drift.startswith("governed: ") else drift


def span(seconds: float | None) -> str:
    """Return a length of time in its largest whole unit."""
    if seconds is None:
        return NOTHING
    seconds = max(0.0, seconds)
    _, size, unit = next(step for step in _STEPS if seconds < step[0])
    return f"{int(seconds / size)} {unit}"


def ago(seconds: float | None) -> str:
    """Return how long ago, or `never`."""
    if seconds is None:
        return "never"
    return "just now" if seconds < 1 else f"{span(seconds)} ago"


def since(ts: float | None, now: float) -> str:
    """Return how long ago the Unix time `ts` was."""
    return ago(None if ts is None else now - ts)


def promised(wake_at: float | None, now: float) -> str:
    """Return when a sleeping device will do what is asked of it, nothing for one that is awake."""
    if wake_at is None:
        return ""
    at, today = datetime.fromtimestamp(wake_at, UTC), datetime.fromtimestamp(now, UTC)
    said = at.strftime("%H:%M UTC" if at.date() == today.date() else "%Y-%m-%d %H:%M UTC")
    left_s = wake_at - now
    return f"will apply at {said} ({f'in {span(left_s)}' if left_s >= 1 else 'any moment'})"


def goes_on(eta: float | None, now: float) -> str:
    """Return when a device that waits for a condition goes on, nothing where that is not known."""
    return "" if eta is None else f"goes on in about {span(eta - now)}"


def clock(ts: float | None) -> str:
    """Return a Unix time as absolute UTC."""
    return NOTHING if ts is None else datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def figure(value: float | None, digits: int = 3) -> str:
    """Return `value` with about `digits` significant digits, never as an exponent."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value == 0:
        return "0"
    decimals = min(6, max(0, digits - 1 - math.floor(math.log10(abs(value)))))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def amount(value: float | None, unit: str, digits: int = 3) -> str:
    """Return a figure with its unit, or a dash without one."""
    text = figure(value, digits)
    return text if text == NOTHING else f"{text} {unit}"


def interval(low: float | None, high: float | None, unit: str = "mJ") -> str:
    """Return a range with its unit once."""
    return NOTHING if low is None or high is None else f"{figure(low)}–{figure(high)} {unit}"


def scaled(value: float | None) -> tuple[float | None, str]:
    """Return a count or a size with the prefix that keeps it readable: G, M, k or none."""
    if value is None:
        return None, ""
    size, prefix = next(((size, prefix) for size, prefix in _PREFIXES if abs(value) >= size), (1.0, ""))
    return value / size, prefix


def megabytes(size: float | None) -> str:
    """Return bytes as MB of 10^6."""
    return amount(None if size is None else size / 1e6, "MB")


def kind_of(source: str | None) -> Kind | None:
    """Return what kind of number a source of energy gives."""
    if source is None:
        return None
    if source in MEASURED:
        return "measured"
    return "simulated" if source == "simulated" else "modelled"


def phase(name: str | None) -> str:
    """Return a phase as words."""
    return (name or NOTHING).replace("_", " ")


def count(number: int, one: str, many: str = "") -> str:
    """Return `number` with the right form of the noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def ended(summary: dict[str, Any] | None) -> str:
    """Return how deployments ended in one line, nothing before one has."""
    found = summary or {}
    good, bad, rate = found.get("success_count") or 0, found.get("error_count") or 0, found.get("success_rate")
    return "" if rate is None else f"{good:,} succeeded, {bad:,} ended in an error: {rate:.0%}"


def listed(names: list[str], most: int = 3) -> str:
    """Return names as an enumeration, the rest as a number."""
    shown = names[:most]
    rest = len(names) - len(shown)
    if rest:
        return f"{', '.join(shown)} and {rest} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def tags(given: dict[str, Any] | None) -> list[str]:
    """Return tags as `key=value`, in order."""
    return [f"{key}={value}" for key, value in sorted((given or {}).items())]


def short(text: str, most: int = 48) -> str:
    """Return `text`, its middle cut out when it is long."""
    if len(text) <= most:
        return text
    half = (most - 1) // 2
    return f"{text[:half]}…{text[-half:]}"
