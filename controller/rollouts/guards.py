"""Says whether a device that got a model is still well with it, from what it reported; pure."""

import math
from dataclasses import dataclass
from typing import Literal

from broker.energy import MEASURED
from broker.errors import InvalidError
from controller.feedback.ledger import SIMULATED

FEWEST_SAMPLES = 3
"""A mean of fewer samples says too little while more are to come."""

Code = Literal["energy", "latency", "temperature", "brown_out"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """The most that a device of a rollout may cost, take and suffer; None where nothing is asked.

    `energy_mj` is mJ per inference, `latency_ms` the p95 of one inference, `brown_outs` whether a device that reports
    itself throttled or undervolted counts.
    """

    energy_mj: float | None = None
    latency_ms: float | None = None
    temperature_c: float | None = None
    brown_outs: bool = False

    def __post_init__(self) -> None:
        """Refuse limits that are none."""
        for name in ("energy_mj", "latency_ms", "temperature_c"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InvalidError(f"{name} {value:g} is no limit", hint="leave it out for none", field=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a device reported with the new model; `simulated` says that the device is a simulation.

    Energy (mJ per inference) and p95 latency are means over `samples`, the temperature is the highest.
    """

    samples: int = 1
    simulated: bool = False
    energy_mj: float | None = None
    energy_source: str | None = None
    latency_p95_ms: float | None = None
    temperature_c: float | None = None
    throttled: bool = False

    @property
    def energy_counts(self) -> bool:
        """Whether the energy may decide: a meter measured it, or a simulation did on a simulated device."""
        measured = self.energy_source in MEASURED
        return self.energy_mj is not None and (measured or (self.simulated and self.energy_source == SIMULATED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A limit that a device did not keep, in words."""

    code: Code
    reason: str


def breach(guards: Guards, seen: Evidence, *, final: bool = True) -> Breach | None:
    """Return the first limit of `guards` that `seen` does not keep; means wait for samples until it is `final`."""
    enough = final or seen.samples >= FEWEST_SAMPLES
    if enough and seen.energy_counts and _above(seen.energy_mj, guards.energy_mj):
        told = f"{seen.energy_mj:.3g} mJ per inference (source: {seen.energy_source}) is above {guards.energy_mj:g} mJ"
        return Breach(code="energy", reason=told)
    if enough and _above(seen.latency_p95_ms, guards.latency_ms):
        told = f"a p95 of {seen.latency_p95_ms:.3g} ms is above {guards.latency_ms:g} ms"
        return Breach(code="latency", reason=told)
    if _above(seen.temperature_c, guards.temperature_c):
        told = f"{seen.temperature_c:.1f} °C is above {guards.temperature_c:g} °C"
        return Breach(code="temperature", reason=told)
    if guards.brown_outs and seen.throttled:
        return Breach(code="brown_out", reason="it reported itself throttled or undervolted")
    return None


def _above(value: float | None, limit: float | None) -> bool:
    return value is not None and limit is not None and value > limit
