"""What every source of energy figures offers, and the kinds of source there are."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from broker.energy import MEASURED
from broker.messages import PowerSensor
from edge_agent.power.trace import CounterTrace, PowerTrace, Trace, counted


class Meter(Protocol):
    """Says what one inference cost; call `begin` before it and `end` after it, in one thread."""

    @property
    def sensor(self) -> PowerSensor | None:
        """Where the figures come from; None when there are none."""
        ...

    def begin(self) -> None:
        """Remember that an inference begins."""

    def end(self, busy_s: float) -> float | None:
        """Return the energy in mJ since `begin`, of which the device worked `busy_s`; None when it is unknown."""
        ...

    def trace(self) -> Trace | None:
        """Return an empty trace to be filled at the meter's rate; None where nothing is measured."""
        ...


@dataclass(frozen=True, slots=True)
class NoMeter:
    """Nothing here knows the power, and nothing is invented."""

    sensor: PowerSensor | None = None

    def begin(self) -> None:
        """Do nothing."""

    def end(self, busy_s: float) -> None:
        """Know nothing of `busy_s`."""

    def trace(self) -> None:
        """Have nothing to fill."""


@dataclass(slots=True, kw_only=True)
class PowerMeter:
    """A sensor of momentary power, read at the end of an inference, at most `sensor.rate_hz` times a second.

    The sensor averages over a millisecond or more itself; between readings the newest one holds. `step_mw` is what its
    readings are rounded to, 0 where that is not known.
    """

    sensor: PowerSensor
    read_mw: Callable[[], float | None]
    step_mw: float = 0.0
    now: Callable[[], float] = time.monotonic
    _newest_mw: float | None = None
    _read_at: float = field(default=float("-inf"))

    def begin(self) -> None:
        """Do nothing: the reading at the end counts."""

    def end(self, busy_s: float) -> float | None:
        """Return power x `busy_s` in mJ; None when the sensor does not answer."""
        due = 1 / self.sensor.rate_hz if self.sensor.rate_hz else 0.0
        if self.now() - self._read_at >= due:
            self._newest_mw, self._read_at = self.read_mw(), self.now()
        return None if self._newest_mw is None else self._newest_mw * busy_s

    def trace(self) -> PowerTrace | None:
        """Return an empty trace; None for a power that is modelled or simulated."""
        if self.sensor.source not in MEASURED:
            return None
        return PowerTrace(read_mw=self.read_mw, now=self.now, interval_s=_interval_s(self.sensor), step_mw=self.step_mw)


@dataclass(slots=True, kw_only=True)
class CounterMeter:
    """A cumulative energy counter in microjoules, in steps of `step_uj`; it wraps at `range_uj`, None for never."""

    sensor: PowerSensor
    read_uj: Callable[[], int | None]
    range_uj: int | None
    step_uj: float = 1.0
    now: Callable[[], float] = time.monotonic
    _before_uj: int | None = None

    def begin(self) -> None:
        """Read the counter."""
        self._before_uj = self.read_uj()

    def end(self, busy_s: float) -> float | None:
        """Return what the counter rose by, in mJ, whatever `busy_s` says; None when it cannot be read."""
        after_uj = self.read_uj()
        if self._before_uj is None or after_uj is None or busy_s < 0:
            return None
        rise_uj = counted(self._before_uj, after_uj, self.range_uj)
        return None if rise_uj is None else rise_uj / 1_000

    def trace(self) -> CounterTrace:
        """Return an empty trace."""
        return CounterTrace(
            read_uj=self.read_uj,
            now=self.now,
            interval_s=_interval_s(self.sensor),
            range_uj=self.range_uj,
            step_uj=self.step_uj,
        )


def _interval_s(sensor: PowerSensor) -> float:
    return 1 / sensor.rate_hz if sensor.rate_hz else 1.0
