"""Says why a deployment has to wait; pure."""

from datetime import time

from broker.commands import Conditions
from broker.conditions import within
from broker.messages import PowerState


def unmet(when: Conditions | None, power: PowerState, clock: time) -> str | None:
    """Return `soc`, `temp` or `window` for the first condition that is not met; a value nobody measures is met.

    Raises InvalidError for a window that is not `HH:MM-HH:MM`.
    """
    if when is None:
        return None
    if when.soc_min_pct is not None and power.soc_pct is not None and power.soc_pct < when.soc_min_pct:
        return "soc"
    if when.charging is not None and power.charging is not None and power.charging is not when.charging:
        return "soc"
    if when.temp_max_c is not None and power.temp_c is not None and power.temp_c > when.temp_max_c:
        return "temp"
    if when.window is not None and not within(when.window, clock):
        return "window"
    return None
