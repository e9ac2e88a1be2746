"""Composes what the agent says of itself: status, info and state."""

import platform
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from broker.activity import GovernorState
from broker.commands import OPS
from broker.messages import CurrentCommand, Info, LocalPolicy, PowerSensor, PowerState, RuntimeInfo, State, Status
from edge_agent import vitals
from edge_agent.cadence import Cadence
from edge_agent.download import free_bytes
from edge_agent.identity import Identity
from edge_agent.journal import Entry, Journal
from edge_agent.modelstore import ModelStore
from edge_agent.serving import Server

REPORTED_COMMANDS = 16
REVS_PER_BOOT = 1_000_000
"""`rev` begins at boot x this, so that it rises over restarts without being stored."""


@dataclass(slots=True, kw_only=True)
class Reporter:
    """Everything the documents are made of; `refused` counts payloads by the reason of their refusal."""

    identity: Identity
    cadence: Cadence
    journal: Journal
    store: ModelStore
    server: Server
    runtimes: Sequence[RuntimeInfo]
    sensor: PowerSensor | None
    power: Callable[[], PowerState]
    now: Callable[[], float]
    folder: Path
    governed: Callable[[], GovernorState | None] = lambda: None
    policy: Callable[[], LocalPolicy] = LocalPolicy
    refused: Counter[str] = field(default_factory=Counter)
    _rev: int = 0

    def status(self, *, online: bool = True, reason: str | None = None, wake_at: float | None = None) -> Status:
        """Return the presence of this session; `wake_at` (Unix s) with the reason `sleep`."""
        return Status(
            online=online,
            session=self.identity.session,
            ts=self.now(),
            interval_s=self.cadence.pace.interval_s,
            reason=reason,
            wake_at=wake_at,
        )

    def info(self) -> Info:
        """Return the registration."""
        who, policy = self.identity, self.policy()
        return Info(
            device_type=who.device_type,
            session=who.session,
            ts=self.now(),
            board=who.board,
            os=vitals.os_name(),
            arch=platform.machine(),
            cpu=vitals.cpu_name(),
            cpu_count=vitals.cpu_count(),
            ram_mb=vitals.ram_mb(),
            disk_free_mb=round(free_bytes(self.folder) / vitals.MB, 1),
            runtimes=tuple(self.runtimes),
            formats=tuple(dict.fromkeys(f for runtime in self.runtimes for f in runtime.formats)),
            ops=OPS,
            power_sensor=self.sensor,
            battery_wh=who.battery_wh,
            solar=None if who.solar_wh_per_day is None else who.solar_wh_per_day > 0,
            solar_wh_per_day=who.solar_wh_per_day,
            ip=who.ip,
            tags=who.tags,
            agent_version=who.version,
            simulated=who.simulated,
            policy=policy if policy != LocalPolicy() else None,
            balena_uuid=who.balena_uuid,
        )

    def state(self) -> State:
        """Return the reported truth."""
        self._rev += 1
        slots, entries = self.store.slots, self.journal.newest()
        current = current_entry(entries)
        return State(
            rev=self.identity.boot * REVS_PER_BOOT + self._rev,
            session=self.identity.session,
            ts=self.now(),
            phase=self._phase(current),
            gen=slots.gen,
            active=slots.active.model if slots.active else None,
            previous=slots.previous.model if slots.previous else None,
            current_cmd=_current(current) if current else None,
            last_cmds=tuple(entry.summary() for entry in entries[:REPORTED_COMMANDS]),
            power=self.power(),
            budget=self.server.budget(),
            governor=self.governed(),
            refused=dict(self.refused),
        )

    def _phase(self, current: Entry | None) -> str:
        if current is not None and current.op == "deploy":
            return current.phase.value
        if self.store.slots.active is None:
            return "idle"
        return "running" if self.server.active else "stopped"


def current_entry(entries: Sequence[Entry]) -> Entry | None:
    """Return the command at work: a deployment before anything else, the newest before an older one."""
    unfinished = [entry for entry in entries if not entry.terminal]
    deployments = [entry for entry in unfinished if entry.op == "deploy"]
    return next(iter(deployments or unfinished), None)


def _current(entry: Entry) -> CurrentCommand:
    command = entry.command
    return CurrentCommand(
        id=entry.id,
        op=entry.op,
        state=entry.phase,
        reason=entry.reason,
        model=command.model if command else None,
        max_energy_mj=command.budget_mj if command else None,
        gen=entry.gen,
        attempt=entry.attempt,
        seq=entry.seq,
        ts=entry.ts,
        detail=entry.detail,
        eta=entry.eta,
        max_latency_ms=command.budget_ms if command else None,
        when=command.when if command else None,
        soak_s=(command.soak_s or None) if command else None,
    )
