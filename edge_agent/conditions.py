"""Says what a deployment has to wait for, in words, and until when where that can be known; pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from broker.commands import Conditions
from broker.conditions import window_of, within
from broker.messages import PowerState

LEAST_RISE_PCT = 1.0
"""Less than that is the gauge's last digit, and says nothing of how fast a battery fills."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmet:
    """The contract's word for what is waited for, the same with figures, and when it can go on (Unix s) if known."""

    reason: str
    detail: str
    eta: float | None = None


@dataclass(slots=True)
class Rise:
    """How fast a battery fills, from what was seen of it since it last fell."""

    _first: tuple[float, float] | None = None
    _last: tuple[float, float] | None = None

    def see(self, at: float, soc_pct: float | None) -> None:
        """Take in a reading of the time `at` (Unix s)."""
        if soc_pct is None:
            return
        fell = self._last is None or soc_pct < self._last[1] or at < self._last[0]
        self._first = (at, soc_pct) if fell else self._first
        self._last = (at, soc_pct)

    def reaches(self, soc_pct: float) -> float | None:
        """Return when `soc_pct` is reached if it goes on like this (Unix s); None while that cannot be told."""
        if self._first is None or self._last is None:
            return None
        (began, low), (at, high) = self._first, self._last
        if high - low < LEAST_RISE_PCT or at <= began:
            return None
        return at + (soc_pct - high) * (at - began) / (high - low)


def unmet(when: Conditions | None, power: PowerState, at: datetime, rise: Rise | None = None) -> Unmet | None:
    """Return what of `when` is not met at the local time `at`; a value nobody measures is met.

    Of several the first gives the word; they can go on together, when the last of them can. Raises InvalidError
    (`bad_window`).
    """
    missing = [] if when is None else list(_each(when, power, at, rise or Rise()))
    if not missing:
        return None
    etas = [each.eta for each in missing if each.eta is not None]
    return Unmet(
        reason=missing[0].reason,
        detail="; ".join(each.detail for each in missing),
        eta=max(etas) if len(etas) == len(missing) else None,
    )


def _each(when: Conditions, power: PowerState, at: datetime, rise: Rise) -> Iterator[Unmet]:
    least_pct, has_pct = when.soc_min_pct, power.soc_pct
    if least_pct is not None and has_pct is not None and has_pct < least_pct:
        detail = f"the battery has {has_pct:g} %, it begins at {least_pct:g} %"
        yield Unmet(reason="soc", detail=detail, eta=rise.reaches(least_pct))
    if when.charging is not None and power.charging is not None and power.charging is not when.charging:
        says = "the battery does not charge" if when.charging else "the battery charges, it begins when it does not"
        yield Unmet(reason="charging", detail=says)
    if when.temp_max_c is not None and power.temp_c is not None and power.temp_c > when.temp_max_c:
        yield Unmet(reason="temp", detail=f"{power.temp_c:g} °C, it begins at {when.temp_max_c:g} °C")
    if when.window is not None and not within(when.window, at.time()):
        opens = _opens(when.window, at)
        detail = f"it begins between {when.window.replace('-', ' and ')}, here it is {at:%H:%M}"
        yield Unmet(reason="window", detail=detail, eta=opens.timestamp())


def _opens(window: str, at: datetime) -> datetime:
    """Return when `window` opens next after `at`, on the local clock of that day."""
    begin, _ = window_of(window)
    local = at.replace(tzinfo=None)
    today = datetime.combine(local.date(), begin)
    return today if today > local else today + timedelta(days=1)
