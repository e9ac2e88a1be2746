"""How full a battery is; pure."""

from dataclasses import dataclass, replace

CHARGE_EFFICIENCY = 0.9
"""What of the power into a lithium battery comes out again; usual for small chargers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Battery:
    """A battery of `capacity_wh`, filled to `soc_pct`."""

    capacity_wh: float
    soc_pct: float
    charging: bool = False


def after(before: Battery, *, drawn_mw: float, yielded_mw: float, seconds: float) -> Battery:
    """Return the battery after `seconds` in which the board drew and the panel yielded so much."""
    net_mw = yielded_mw - drawn_mw
    stored_mw = net_mw * CHARGE_EFFICIENCY if net_mw > 0 else net_mw
    change_pct = stored_mw * seconds / 3_600 / 1_000 / before.capacity_wh * 100
    soc_pct = min(max(before.soc_pct + change_pct, 0.0), 100.0)
    return replace(before, soc_pct=soc_pct, charging=net_mw > 0)
