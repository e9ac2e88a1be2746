"""Reads what rules look at: of some devices with one query for each table, of rollouts, of the controller itself."""

import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from broker.link import Link
from broker.phases import Phase
from controller.alerts.glance import Glance, Glimpse
from controller.alerts.quantities import BAD_ENDS, Facts, Reading
from controller.alerts.rises import Rises
from controller.alerts.rule import Rule
from controller.alerts.sampled import Told, beyond
from controller.feedback.ledger import Watch
from controller.logs import REFUSALS
from controller.rollouts.records import Rollouts
from controller.rollouts.state import RolloutPhase
from controller.storage.store import Row, Store

SIZED_EVERY_S = 60.0
LOST_AT = "broker_lost_at"
COLUMNS = "id, registered_at, online, status_at, reading_at, gaps, info, status, state, reading"


_BAD = ", ".join(f"'{phase.value}'" for phase in sorted((*BAD_ENDS, Phase.ROLLBACK_FAILED)))
_QUIET = (
    "SELECT id, registered_at, status_at, reading_at, energy_mj, gaps, status, info, state FROM fleet f "  # noqa: S608 - our own words
    "WHERE id IN ({marks}) AND online = 1 AND NOT EXISTS (SELECT 1 FROM alerts WHERE device_id = f.id) "
    "AND NOT EXISTS (SELECT 1 FROM watches WHERE device_id = f.id AND alarm = 1) "
    f"AND NOT EXISTS (SELECT 1 FROM deployments WHERE device_id = f.id AND phase IN ({_BAD}) "
    "AND created_at = (SELECT max(created_at) FROM deployments WHERE device_id = f.id))"
)
"""Of some devices those that are connected and have no alert, whose model costs no more and went well."""


class _Part(msgspec.Struct):
    """What an alert tells of a deployment."""

    rollout_id: str | None = None


class _Status(msgspec.Struct):
    interval_s: float | None = None


class _Info(msgspec.Struct):
    disk_free_mb: float | None = None


class _Budget(msgspec.Struct):
    energy_mj: float | None = None


class _State(msgspec.Struct):
    budget: _Budget | None = None


_status, _info = msgspec.json.Decoder(_Status).decode, msgspec.json.Decoder(_Info).decode
_state, _sample = msgspec.json.Decoder(_State).decode, msgspec.json.Decoder(Told).decode


@dataclass(slots=True, kw_only=True)
class FactFinder:
    """Collects facts; `skews` holds by device how far its clock was off in its newest live sample."""

    store: Store
    link: Link
    rollout_records: Rollouts
    skews: Mapping[str, float]
    _rises: Rises = field(default_factory=Rises)
    _hears_since: float | None = None

    def look(self, at: float) -> None:
        """Note whether the bus is heard, and since when."""
        self._hears_since = (self._hears_since or at) if self.link.connected else None

    def devices(self, names: Sequence[str], at: float, rules: Sequence[Rule]) -> Iterator[Facts]:
        """Yield what is known of each device that is there."""
        wanted = {rule.quantity for rule in rules}
        deployments = self._newest(names) if wanted & {"deployment_failed", "rollback_failed"} else {}
        watches = self._watches(names) if "dearer_percent" in wanted else {}
        for row in self.store.query(f"SELECT {COLUMNS} FROM fleet WHERE id IN ({_marks(names)})", list(names)):  # noqa: S608 - marks only
            lost = self._rises.rise(row["id"], row["gaps"], at) if "lost_readings" in wanted else None
            yield Facts(
                device=row,
                now=at,
                deployment=deployments.get(row["id"]),
                watches=tuple(watches.get(row["id"], ())),
                skew_s=self.skews.get(row["id"]),
                hears_since=self._hears_since,
                rises={} if lost is None else {"lost_readings": lost},
            )

    def well(self, names: Sequence[str], at: float, glance: Glance) -> set[str]:
        """Return those of these devices of which a glance says that no rule has anything to say."""
        passed: dict[str, float | None] = {}
        lost = "lost_readings" in glance.quantities
        for row in self.store.connection.execute(_QUIET.format(marks=_marks(names)), list(names)):
            name, registered_at, status_at, reading_at, energy_mj, gaps, status, info, state = row
            budget = _state(state).budget if state else None
            glimpse = Glimpse(
                heard_at=max(reading_at or 0.0, status_at or 0.0) or registered_at,
                reading_at=reading_at,
                interval_s=(_status(status).interval_s if status else None) or 0.0,
                disk_free_mb=_info(info).disk_free_mb if info else None,
                energy_mj=energy_mj,
                budget_mj=budget.energy_mj if budget else None,
                skew_s=self.skews.get(name),
                lost=self._rises.rise(name, gaps, at) if lost else None,
            )
            if glance.passes(glimpse, at):
                passed[name] = reading_at
        return passed.keys() - beyond(glance.told, self._samples(passed))

    def rollouts(self, at: float) -> dict[str, dict[str, Reading]]:
        """Return for how long each rollout is paused; one that has ended is not."""
        ended = self.store.query("SELECT subject FROM alerts WHERE scope = 'rollout'")
        paused_s = {row["subject"]: 0.0 for row in ended}
        paused_s |= {
            rollout.id: at - rollout.since if rollout.phase is RolloutPhase.PAUSED else 0.0
            for rollout in self.rollout_records.open()
        }
        return {
            name: {"rollout_paused_s": Reading(value=value, at=at, rollout_id=name)} for name, value in paused_s.items()
        }

    def _samples(self, came_at: Mapping[str, float | None]) -> dict[str, Any]:
        """Return what has the attributes of the newest sample of each device, from memory where it is there."""
        found: dict[str, bytes | str | None] = {
            name: self.store.readings.newest(name, at) for name, at in came_at.items() if at is not None
        }
        left = [name for name, document in found.items() if document is None]
        if left:
            sql = f"SELECT id, reading FROM fleet WHERE id IN ({_marks(left)})"  # noqa: S608 - marks only
            rows = self.store.connection.execute(sql, left)
            found |= dict(rows)
        return {name: _sample(document) for name, document in found.items() if document}

    def _newest(self, names: Sequence[str]) -> dict[str, Row]:
        """Return the newest deployment of each device."""
        sql = (
            "SELECT id, device_id, phase, document FROM deployments d WHERE "  # noqa: S608 - marks only
            f"device_id IN ({_marks(names)}) AND created_at = "
            "(SELECT max(created_at) FROM deployments WHERE device_id = d.device_id) ORDER BY id"
        )
        rows = self.store.query(sql, list(names))
        part = msgspec.json.Decoder(_Part)
        return {row["device_id"]: row | {"rollout_id": part.decode(row["document"]).rollout_id} for row in rows}

    def _watches(self, names: Sequence[str]) -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = defaultdict(list)
        sql = f"SELECT device_id, document FROM watches WHERE device_id IN ({_marks(names)})"  # noqa: S608 - marks only
        for row in self.store.query(sql, list(names)):
            watch = msgspec.json.decode(row["document"], type=Watch)
            about = {"alarm": watch.alarm, "source": watch.source, "deployment_id": watch.deployment_id}
            found[row["device_id"]].append(about | {"by_percent": watch.by_percent})
        return found


@dataclass(slots=True, kw_only=True)
class OwnFacts:
    """What is known of the controller itself: its broker, its disk, and what it could not take."""

    store: Store
    link: Link
    folder: Path
    max_mb: float
    _rises: Rises = field(default_factory=Rises)
    _sizes: dict[str, float] = field(default_factory=dict)
    _sized_at: float = 0.0

    def readings(self, at: float, storage_fault: str | None) -> dict[str, Reading]:
        """Return its readings by quantity; inside a transaction."""
        counts = self.store.counters()
        values: dict[str, float | None] = {
            "broker_lost_s": self._lost_s(at),
            "storage_fault": float(storage_fault is not None),
            "controller_disk_free_mb": shutil.disk_usage(self.folder).free / 1e6,
            **self._database(at),
            "refused_messages": self._rises.rise("refused", sum(counts.get(why, 0) for why in REFUSALS), at),
            "dropped_messages": self._rises.rise("dropped", int(getattr(self.link, "dropped", 0)), at),
        }
        return {name: Reading(value=value, at=at) for name, value in values.items() if value is not None}

    def _lost_s(self, at: float) -> float:
        """Return how long the broker is gone; since when is kept, so that a restart begins no new count."""
        lost_at: Any = self.store.remembered(LOST_AT)
        if self.link.connected:
            if lost_at is not None:
                self.store.remember(LOST_AT, None)
            return 0.0
        if lost_at is None:
            lost_at = at
            self.store.remember(LOST_AT, at)
        return max(0.0, at - float(lost_at))

    def _database(self, at: float) -> dict[str, float | None]:
        """Return how large the database is; looked at once a minute, because a server has to count."""
        if abs(at - self._sized_at) >= SIZED_EVERY_S:
            size, self._sized_at = self.store.connection.size(), at
            used_mb = size.used_bytes / 1e6
            self._sizes = {"database_mb": size.bytes / 1e6, "database_used_percent": 100 * used_mb / self.max_mb}
        return dict(self._sizes)


def _marks(names: Sequence[str]) -> str:
    return ", ".join("?" * len(names))
