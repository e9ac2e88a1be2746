"""Up to when samples are summed up, and are being summed up now: whoever adds an older one has to know."""

from collections.abc import Iterable
from dataclasses import dataclass, field

SAID_BEFORE_S = 180.0
"""What a device says first was sampled at most so long before it registered; what is older than that comes late."""


@dataclass(slots=True)
class Summed:
    """What this process knows of sums: `up_to` is the newest time of any device, `now` that of each in hand, Unix s."""

    up_to: float = 0.0
    now: dict[str, float] = field(default_factory=dict)

    def cut(self, times: Iterable[tuple[float, str]]) -> None:
        """Be told of (time, device) from which on what is being summed up lacks a sample."""
        for ts, device_id in times:
            if ts < self.now.get(device_id, 0.0):
                self.now[device_id] = ts
