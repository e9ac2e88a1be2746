"""What passing time means to an open deployment, and when it has to be looked at next; pure."""

from collections.abc import Mapping
from typing import Any

from broker.phases import DEVICE_OWNED
from controller.deployment import Deployment, Tick
from controller.patience import PATIENCE_S
from controller.sleep import asleep_until

ASLEEP_EVERY_S = 60.0
"""How often the timers of a deployment are moved on whose device sleeps."""


def passed(device: Mapping[str, Any] | None, at: float) -> Tick:
    """Return what time does to the deployments of a device, by its presence."""
    asleep = device is not None and asleep_until(device, at) is not None
    return Tick(asleep=asleep, online=device is not None and bool(device["online"]))


def next_look(after: Deployment, tick: Tick, at: float, silence_s: float) -> float:
    """Return when time can next change a deployment that was looked at, or its device was silent for too long."""
    if tick.asleep:
        return at + ASLEEP_EVERY_S
    due_at = min(after.deadline_at, after.news_at + PATIENCE_S[after.phase])
    if tick.online and after.phase in DEVICE_OWNED:
        due_at = min(due_at, max(after.news_at, at) + silence_s)
    return max(due_at, at + 1.0)
