"""Brings what was spooled to the controller: oldest first, a batch at a time, beside the live samples.

The broker's word that it has a batch is not the controller's: its queue for one that is away may be short, and is gone
when it is killed. So nothing is sent while no controller is in sight, and a batch is forgotten only when broker and
controller have been there until the next one was due.
"""

import asyncio
import logging
import random
from dataclasses import dataclass, field, replace

from broker.messages import Telemetry
from edge_agent.cadence import Cadence
from edge_agent.fleetmate import Fleetmate
from edge_agent.outgoing import Outgoing
from edge_agent.spool import Batch, Spool

PAUSE_S = 5.0
"""Between two batches, or the interval of the samples where that is shorter: a day is back after twenty minutes."""

AT_ONCE = 1_000
"""Devices that may come back at once at that pace: they send 13,000 samples a second, which one controller takes in."""

CLOCKS_BEGIN = 1_577_836_800.0
"""2020-01-01: a board that says it is earlier has no clock."""

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class History:
    """The way of old samples; `heard` is the newest live one, whose clock places those that had none."""

    spool: Spool
    outgoing: Outgoing
    cadence: Cadence
    fleetmate: Fleetmate
    _sent: int = 0
    _heard: Telemetry | None = None
    _due: asyncio.Event = field(default_factory=asyncio.Event)

    def follow(self, live: Telemetry) -> None:
        """Send what waits, after `live` went out."""
        self._heard = live
        if self.spool:
            self._due.set()

    async def run(self) -> None:
        """Send whenever something waits and live samples go out, for ever; what did not arrive is tried again."""
        while True:
            await self._due.wait()
            self._due.clear()
            await self._send()

    async def _send(self) -> None:
        self.spool.secure()
        longer_s = self._pause_s() - pause_s(self.cadence.pace.interval_s)
        await asyncio.sleep(random.uniform(0, longer_s))  # noqa: S311 - spreads load
        while (seen := self.fleetmate.sighting) is not None and (batch := self.spool.oldest()) is not None:
            samples = tuple(placed(sample, self._heard) for sample in batch.samples)
            if not await self.outgoing.history(Telemetry(batch=samples, spooled=True)):
                return
            try:
                await asyncio.sleep(self._pause_s())
            finally:  # an agent that ends, or goes to sleep, has seen enough
                self._forget(batch, seen)
        if self._sent and not self.spool:
            log.info("history: %d samples went out, %d were thinned", self._sent, self.spool.thinned)
            self._sent = self.spool.thinned = 0

    def _pause_s(self) -> float:
        return pause_s(self.cadence.pace.interval_s, self.fleetmate.devices)

    def _forget(self, batch: Batch, seen: int) -> None:
        """Drop what has arrived, unless the controller was out of sight since then: it is sent once more."""
        if self.fleetmate.sighting == seen:
            self.spool.drop(batch)
            self._sent += len(batch.samples)


def pause_s(interval_s: float, devices: int = 0) -> float:
    """Return how long a device of a fleet of so many rests between two batches.

    All of them may be back at once: what one controller does not take in would wait in the broker's memory, and live
    samples behind it.
    """
    return min(interval_s, PAUSE_S) * max(1.0, devices / AT_ONCE)


def placed(sample: Telemetry, live: Telemetry | None) -> Telemetry:
    """Return `sample` at the time when it was taken, told from `live` of the same boot where its clock was not set."""
    if live is None or live.ts is None or sample.ts is None or sample.session != live.session:
        return sample
    if sample.ts >= CLOCKS_BEGIN or live.ts < CLOCKS_BEGIN:
        return sample
    if sample.uptime_seconds is None or live.uptime_seconds is None:
        return sample
    return replace(sample, ts=round(live.ts - live.uptime_seconds + sample.uptime_seconds, 3))
