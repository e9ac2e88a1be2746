"""What a rule can watch: each quantity with its unit, whose it is, and how it is read; pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from broker.energy import MEASURED
from broker.messages import Telemetry
from broker.phases import Phase
from controller.fleet import GRACE_S
from controller.sleep import asleep_until, wakes_at

Scope = Literal["device", "rollout", "controller"]
EnergyKind = Literal["measured", "modelled", "simulated"]
Row = Mapping[str, Any]

RISE_S = 600.0
"""Over how long the rise of a count is looked at."""

LISTENED_S = 60.0
"""How long the controller has to hear the bus before it says that a device is silent."""

BAD_ENDS = frozenset({Phase.FAILED, Phase.ROLLED_BACK, Phase.TIMED_OUT, Phase.REJECTED, Phase.EXPIRED})


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A value and when the controller had it (Unix s); of energies their kind, and what it is about."""

    value: float
    at: float
    kind: str = ""
    deployment_id: str | None = None
    rollout_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of one device at time `now`; `rises` holds how much a count rose within `RISE_S`.

    `hears_since` is from when on the controller hears the bus, None while it does not.
    """

    device: Row
    now: float
    deployment: Row | None = None
    watches: tuple[Row, ...] = ()
    skew_s: float | None = None
    hears_since: float | None = None
    rises: Mapping[str, float] = field(default_factory=dict)

    @property
    def reading_at(self) -> float | None:
        """When the newest live reading came."""
        at: float | None = self.device["reading_at"]
        return at


Reader = Callable[[Facts], Reading | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """Something that is watched: its `unit` and whose it is.

    One of telemetry has the `path` of its field in a sample; one that is kept by minute the `column` of that.
    """

    name: str
    unit: str
    says: str
    scope: Scope = "device"
    path: tuple[str, ...] = ()
    column: str = ""
    reader: Reader | None = None
    is_energy: bool = False

    def read(self, facts: Facts) -> Reading | None:
        """Return the newest reading of a device, None where it never gave one."""
        if self.reader is not None:
            return self.reader(facts)
        sample, at = facts.device["reading"], facts.reading_at
        value = _within(sample, self.path)
        if value is None or at is None:
            return None
        return Reading(value=float(value), at=at, kind=kind_of(_within(sample, SOURCE)) if self.is_energy else "")

    def of_sample(self, sample: Telemetry) -> float | None:
        """Return the value in a sample that just came, None where it has none."""
        found: Any = sample
        for name in self.path:
            found = getattr(found, name, None)
            if found is None:
                return None
        return float(found) if self.path else None

    def kind_in(self, sample: Telemetry) -> str:
        """Return of what kind the value in a sample is, where it is an energy."""
        return kind_of(sample.energy.source) if self.is_energy and sample.energy is not None else ""


SOURCE = ("energy", "source")


def kind_of(source: str | None) -> str:
    """Return what kind of energy a source gives: figures of different kinds are never compared."""
    if source in MEASURED:
        return "measured"
    return "simulated" if source == "simulated" else "modelled" if source else ""


def _silent(facts: Facts) -> Reading | None:
    """Read how long a connected device has said nothing; 0 while it is not connected, or between two readings.

    Nobody knows while the bus is not heard, nor shortly after that.
    """
    device, now, since = facts.device, facts.now, facts.hears_since
    if device["online"] is None or since is None:
        return None
    interval_s = (device["status"] or {}).get("interval_s") or 0.0
    heard_at = max(facts.reading_at or 0.0, device["status_at"] or 0.0) or device["registered_at"]
    age_s = max(0.0, now - heard_at)
    if not device["online"] or age_s < 3 * interval_s:
        return Reading(value=0.0, at=now)
    if heard_at < since and now - since < max(LISTENED_S, 3 * interval_s):
        return None
    return Reading(value=age_s, at=now)


def _offline(facts: Facts) -> Reading | None:
    """Read how long a device has been gone; 0 while it is connected, or sleeps as it said."""
    device, now = facts.device, facts.now
    if device["online"] is None or device["status_at"] is None or facts.hears_since is None:
        return None
    if device["online"] or asleep_until(device, now) is not None:
        return Reading(value=0.0, at=now)
    gone_s = now - (wakes_at(device) or device["status_at"])
    return Reading(value=gone_s if gone_s >= GRACE_S else 0.0, at=now)


def _budget_used(facts: Facts) -> Reading | None:
    """Read what an inference costs now, as a share of the budget under which its model was deployed."""
    budget_mj = ((facts.device["state"] or {}).get("budget") or {}).get("energy_mj")
    spent = QUANTITIES["energy_mj"].read(facts)
    if spent is None or not budget_mj:
        return None
    return Reading(value=100 * spent.value / budget_mj, at=spent.at, kind=spent.kind)


def _disk_free(facts: Facts) -> Reading | None:
    """Read the free disk that a device told when it last said what it is."""
    device = facts.device
    free_mb = (device["info"] or {}).get("disk_free_mb")
    at = facts.now if device["online"] else device["status_at"]
    return None if free_mb is None or at is None else Reading(value=float(free_mb), at=at)


def _skew(facts: Facts) -> Reading | None:
    """Read how far a device's clock is from ours."""
    at = facts.reading_at
    return None if facts.skew_s is None or at is None else Reading(value=abs(facts.skew_s), at=at)


def _ended(ends: frozenset[Phase]) -> Reader:
    """Return what reads 1 while the newest deployment of a device ended so, else 0."""

    def read(facts: Facts) -> Reading | None:
        newest = facts.deployment
        if newest is None:
            return None
        about = {"deployment_id": newest["id"], "rollout_id": newest["rollout_id"]}
        return Reading(value=float(newest["phase"] in ends), at=facts.now, **about)

    return read


def _dearer(facts: Facts) -> Reading | None:
    """Read how much more a model costs than when it was deployed, where that is certain; 0 where it is not."""
    if not facts.watches:
        return None
    worst = max(facts.watches, key=lambda watch: watch["by_percent"] if watch["alarm"] else 0.0)
    value = worst["by_percent"] if worst["alarm"] else 0.0
    about = {"kind": kind_of(worst["source"]), "deployment_id": worst["deployment_id"]}
    return Reading(value=float(value), at=facts.now, **about)


def _rise(name: str) -> Reader:
    """Return what reads how much a count of a device rose."""

    def read(facts: Facts) -> Reading | None:
        return None if name not in facts.rises else Reading(value=facts.rises[name], at=facts.now)

    return read


def _told(name: str, unit: str, says: str, *path: str, column: str = "", is_energy: bool = False) -> Quantity:
    return Quantity(name=name, unit=unit, says=says, path=path or (name,), column=column or name, is_energy=is_energy)


_ALL = (
    _told("temperature_c", "°C", "temperature of the board"),
    _told("cpu_usage_percent", "%", "how busy the processor is"),
    _told("ram_usage_percent", "%", "memory in use"),
    _told("storage_usage_mb", "MB", "disk in use"),
    _told("soc_pct", "%", "charge of the battery"),
    _told("throttled", "", "1 while the board slows itself down, for heat or a weak supply"),
    _told("latency_p95_ms", "ms", "95 % of the inferences are faster", "latency_ms", "p95"),
    _told("energy_mj", "mJ", "energy of an inference", "energy", "energy_mj", is_energy=True),
    _told("power_mw", "mW", "power of the board", "energy", "power_mw", is_energy=True),
    Quantity(name="top1_pct", unit="%", says="correct answers on labelled inputs", path=("top1_pct",)),
    Quantity(
        name="budget_used_percent",
        unit="%",
        says="energy of an inference, as a share of the budget of its deployment",
        reader=_budget_used,
        is_energy=True,
    ),
    Quantity(
        name="dearer_percent",
        unit="%",
        says="what the model costs more than when it was deployed, where that is certain",
        reader=_dearer,
        is_energy=True,
    ),
    Quantity(name="disk_free_mb", unit="MB", says="free disk, as the device told when it began", reader=_disk_free),
    Quantity(name="clock_skew_s", unit="s", says="how far the device's clock is from ours", reader=_skew),
    Quantity(name="silent_s", unit="s", says="how long a connected device has sent no reading", reader=_silent),
    Quantity(name="offline_s", unit="s", says="how long a device is gone; 0 while it sleeps", reader=_offline),
    Quantity(
        name="deployment_failed",
        unit="",
        says="1 while the newest deployment of the device is one that ended in an error",
        reader=_ended(BAD_ENDS),
    ),
    Quantity(
        name="rollback_failed",
        unit="",
        says="1 while neither the new model nor the one before runs",
        reader=_ended(frozenset({Phase.ROLLBACK_FAILED})),
    ),
    Quantity(
        name="lost_readings",
        unit="",
        says="readings that never came, within the last ten minutes",
        reader=_rise("lost_readings"),
    ),
    Quantity(name="rollout_paused_s", unit="s", says="how long a rollout is paused", scope="rollout"),
    Quantity(name="broker_lost_s", unit="s", says="how long the broker does not answer", scope="controller"),
    Quantity(name="storage_fault", unit="", says="1 while the database cannot be written", scope="controller"),
    Quantity(
        name="controller_disk_free_mb",
        unit="MB",
        says="free disk where the controller keeps its data",
        scope="controller",
    ),
    Quantity(
        name="database_used_percent",
        unit="%",
        says="how much of what the database may hold is in use",
        scope="controller",
    ),
    Quantity(name="database_mb", unit="MB", says="size of the controller's database", scope="controller"),
    Quantity(
        name="refused_messages",
        unit="",
        says="messages outside the contract, within the last ten minutes",
        scope="controller",
    ),
    Quantity(
        name="dropped_messages",
        unit="",
        says="messages that the controller was too busy to take, within the last ten minutes",
        scope="controller",
    ),
)
QUANTITIES: dict[str, Quantity] = {each.name: each for each in _ALL}


def _within(document: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        document = (document or {}).get(name)
    return document
