"""Takes a sample of the device's vital signs every interval, and sends it or keeps it."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from broker.messages import Energy, PowerSensor, PowerState, Telemetry
from edge_agent import vitals
from edge_agent.cadence import Cadence
from edge_agent.history import History
from edge_agent.outgoing import Outgoing
from edge_agent.serving import Server

NOTICEABLE = 0.05
"""Relative change of the average energy that is worth a new retained state."""


@dataclass(slots=True, kw_only=True)
class Sampler:
    """Where a sample's figures come from; `seq` rises within one session and is never used twice."""

    session: str
    server: Server
    cadence: Cadence
    outgoing: Outgoing
    history: History
    sensor: PowerSensor | None
    power: Callable[[], PowerState]
    now: Callable[[], float]
    folder: Path
    look: Callable[[Path], vitals.Vitals] = vitals.look
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _status: str = "ok"
    _avg_mj: float = 0.0

    async def run(self) -> None:
        """Sample for ever; what cannot be said now, or goes by while the controller is away, is history."""
        while True:
            await asyncio.sleep(self.cadence.pace.interval_s)
            sample = self.sample()
            if await self.outgoing.live(sample) and not self.history.fleetmate.away:
                self.history.follow(sample)
            else:
                self.history.spool.add(sample)
            self._watch_budget()

    def sample(self) -> Telemetry:
        """Return one sample of everything that is known now."""
        seen, heat, served = self.look(self.folder), self.power(), self.server.take()
        held = self.server.held
        return Telemetry(
            ts=self.now(),
            session=self.session,
            seq=next(self._numbers),
            cpu_usage_percent=seen.cpu_usage_percent,
            ram_usage_mb=seen.ram_usage_mb,
            ram_usage_percent=seen.ram_usage_percent,
            temperature_c=heat.temp_c,
            storage_usage_mb=seen.storage_usage_mb,
            uptime_seconds=seen.uptime_seconds,
            inference_active=self.server.active,
            model=held.model.model if held else None,
            gen=held.model.gen if held else None,
            inferences=served.inferences if held else None,
            top1_pct=served.top1_pct,
            answer=served.answer,
            rate=self.server.rate,
            inputs=served.inputs,
            latency_ms=served.latency_ms,
            energy=self._energy(served.energy_mj, served.inferences),
            soc_pct=heat.soc_pct,
            charging=heat.charging,
            throttled=heat.throttled,
        )

    def _energy(self, energy_mj: float | None, inferences: int) -> Energy | None:
        """Return the energy with its source; power is that of the inferences over the interval, not the board's."""
        if self.sensor is None or energy_mj is None:
            return None
        power_mw = energy_mj * inferences / self.cadence.pace.interval_s
        return Energy(
            source=self.sensor.source,
            energy_mj=round(energy_mj, 4),
            power_mw=round(power_mw, 3),
            rate_hz=self.sensor.rate_hz,
        )

    def _watch_budget(self) -> None:
        """Say the state again when the running model crossed its budget, or its average moved by a noticeable part."""
        budget = self.server.budget()
        status, avg_mj = (budget.status, budget.avg_mj or 0.0) if budget else ("ok", 0.0)
        if status != self._status or abs(avg_mj - self._avg_mj) > NOTICEABLE * self._avg_mj:
            self._status, self._avg_mj = status, avg_mj
            self.outgoing.renew_state()
