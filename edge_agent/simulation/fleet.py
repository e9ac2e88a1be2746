"""Runs many simulated devices in one loop, and counts how they are."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from edge_agent.simulation.device import Device

LAG_LOOK_S = 0.25
START_PER_S = 400.0
"""Devices that begin per second: a broker takes no thousand connections at once from two cores."""


@dataclass(slots=True, kw_only=True)
class Fleet:
    """The devices of this process."""

    devices: Sequence[Device]
    began: float = field(default_factory=time.monotonic)
    worst_lag_s: float = 0.0

    async def live(self, stop: asyncio.Event) -> None:
        """Run every device until `stop`, then stop them cleanly."""
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self._watch_lag())
            for device in self.devices:
                group.create_task(device.live())
                await asyncio.sleep(1 / START_PER_S)
            await stop.wait()
            watching.cancel()
            for device in self.devices:
                device.stop()

    def counts(self) -> dict[str, Any]:
        """Return how the devices stand; lag is how late the loop was at worst since the last look."""
        worst, self.worst_lag_s = self.worst_lag_s, 0.0
        phases: Counter[str] = Counter()
        for device in self.devices:
            if device.agent is not None:
                phases.update(entry.phase.value for entry in device.agent.desk.journal.newest())
        return {
            "pid": os.getpid(),
            "run_s": round(time.monotonic() - self.began, 1),
            "devices": len(self.devices),
            "connected": sum(device.connected for device in self.devices),
            "with_model": sum(_has_model(device) for device in self.devices),
            "commands": dict(sorted(phases.items())),
            "reboots": sum(device.deaths for device in self.devices),
            "misfires": sum(len(device.misfires) for device in self.devices),
            "lag_ms": round(worst * 1_000),
            "simulated": True,
        }

    async def _watch_lag(self) -> None:
        while True:
            due = time.monotonic() + LAG_LOOK_S
            await asyncio.sleep(LAG_LOOK_S)
            self.worst_lag_s = max(self.worst_lag_s, time.monotonic() - due)


def _has_model(device: Device) -> bool:
    return device.agent is not None and device.agent.installer.store.slots.active is not None
