"""Tells from a few figures of a device with which nothing is wrong that no rule has anything to say of it; pure.

A look at everything that is known of a device costs several times as much, and finds nothing in a fleet that is well.
In doubt a device is not said to be well: then everything is looked at.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from controller.alerts.rule import Rule
from controller.alerts.sampled import Limits, limits, told_by_samples, within

NOUGHT = frozenset({"offline_s", "deployment_failed", "rollback_failed", "dearer_percent"})
"""What reads 0, if anything, of a connected device whose newest deployment went well and whose model costs no more."""

FIGURES = ("silent_s", "disk_free_mb", "budget_used_percent", "clock_skew_s", "lost_readings")
_OF_READINGS = frozenset({"budget_used_percent", "clock_skew_s"})
_ANYTHING = (-math.inf, math.inf)


class Glimpse(msgspec.Struct, frozen=True):
    """What is known of a connected device, on which there is no alert: times are Unix s, None is what it never told."""

    heard_at: float
    reading_at: float | None
    interval_s: float
    disk_free_mb: float | None
    energy_mj: float | None
    budget_mj: float | None
    skew_s: float | None
    lost: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """What the rules that are switched on ask of a device, about `quantities`; `told` is for `beyond`, with its sample.

    `blind`: there is a rule of which a glance cannot tell.
    """

    quantities: frozenset[str]
    told: tuple[Limits, ...]
    figures: tuple[tuple[float, float], ...]
    fresh_s: float
    blind: bool

    def passes(self, device: Glimpse, now: float) -> bool:
        """Return whether no rule has anything to say of a device, but for what its newest sample tells."""
        told_at, slow_s = device.reading_at, 3 * device.interval_s
        if self.blind or (told_at is not None and now - told_at > max(self.fresh_s, slow_s)):
            return False
        age_s = max(0.0, now - device.heard_at)
        spent, budget_mj = device.energy_mj, device.budget_mj
        figures = (
            0.0 if age_s < slow_s else age_s,
            device.disk_free_mb,
            100 * spent / budget_mj if spent is not None and budget_mj else None,
            None if device.skew_s is None else abs(device.skew_s),
            device.lost,
        )
        for figure, (least, most) in zip(figures, self.figures, strict=True):
            if figure is not None and not least <= figure <= most:
                return False
        return True


def glance(rules: Sequence[Rule]) -> Glance:
    """Return what these rules over devices ask of one."""
    told = told_by_samples(rules)
    others = [rule for rule in rules if not rule.watched.path]
    nought = [rule for rule in others if rule.quantity in NOUGHT]
    known = [rule for rule in others if rule.quantity in FIGURES]
    by_readings = [rule for rule in known if rule.quantity in _OF_READINGS]
    return Glance(
        quantities=frozenset(rule.quantity for rule in rules),
        told=limits(told),
        figures=tuple(_both([rule for rule in known if rule.quantity == name]) for name in FIGURES),
        fresh_s=min((rule.no_data_after_s for rule in (*told, *by_readings)), default=math.inf),
        blind=any(rule.breached(0.0) for rule in nought) or len(nought) + len(known) < len(others),
    )


def _both(rules: Sequence[Rule]) -> tuple[float, float]:
    """Return the least and the greatest value that are beyond no threshold of these rules."""
    each = [within(rule) for rule in rules] or [_ANYTHING]
    return max(least for least, _ in each), min(most for _, most in each)
