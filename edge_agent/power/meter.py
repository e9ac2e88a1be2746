"""What every source of energy figures offers, and the kinds of source there are."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from broker.messages import PowerSensor


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


@dataclass(frozen=True, slots=True)
class NoMeter:
    """Nothing here knows the power, and nothing is invented."""

    sensor: PowerSensor | None = None

    def begin(self) -> None:
        """Do nothing."""

    def end(self, busy_s: float) -> None:
        """Know nothing of `busy_s`."""


@dataclass(slots=True, kw_only=True)
class PowerMeter:
    """A sensor of momentary power, read at the end of an inference, at most `sensor.rate_hz` times a second.

    The sensor averages over a millisecond or more itself; between readings the newest one holds.
    """

    sensor: PowerSensor
    read_mw: Callable[[], float | None]
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


@dataclass(slots=True, kw_only=True)
class CounterMeter:
    """A cumulative energy counter in microjoules that wraps at `range_uj`."""

    sensor: PowerSensor
    read_uj: Callable[[], int | None]
    range_uj: int
    _before_uj: int | None = None

    def begin(self) -> None:
        """Read the counter."""
        self._before_uj = self.read_uj()

    def end(self, busy_s: float) -> float | None:
        """Return what the counter rose by, in mJ, whatever `busy_s` says; None when it cannot be read."""
        after_uj = self.read_uj()
        if self._before_uj is None or after_uj is None or busy_s < 0:
            return None
        return counted_uj(self._before_uj, after_uj, self.range_uj) / 1_000


def counted_uj(before_uj: int, after_uj: int, range_uj: int) -> int:
    """Return the microjoules between two readings of a counter that wraps at `range_uj`, at most once."""
    return after_uj - before_uj if after_uj >= before_uj else after_uj + range_uj - before_uj
