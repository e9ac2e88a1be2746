"""What a meter said over time, and the energy between two moments with its uncertainty.

The stated uncertainty is two standard uncertainties (about 95 %) of the energy of one window of length T, combined in
quadrature from what the meter's rate and resolution allow to be wrong:

- edges: at each end of the window the meter lags by up to one interval d of its own; over it the power may have been
  off by the contrast c between work and rest: c x d x sqrt(2 / 12).
- resolution: a reading is rounded to a step q. Power: q x T / sqrt(12), for all readings may be rounded alike; a
  counter is rounded twice: q x sqrt(2 / 12).
- spread (power only): n readings with a standard deviation s: s x T / sqrt(n).

How well the meter itself is calibrated is not in it: its data sheet says that, and no reading does.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from threading import Lock
from typing import Protocol

RECTANGULAR = 1 / math.sqrt(12)
"""Standard deviation of what lies anywhere within one step."""

COVERAGE = 2.0
"""Standard uncertainties in the stated one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What was drawn over one window: energy in mJ, mean power in mW, the readings that fell into it."""

    energy_mj: float
    power_mw: float
    readings: int
    uncertainty_percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From `start` to `end` in seconds of the readings' clock, and the power at rest before it where that is known."""

    start: float
    end: float
    rest_mw: float | None = None


class Trace(Protocol):
    """Readings of one meter; any thread may add one."""

    def take(self) -> None:
        """Read the meter once; what it does not answer is left out."""

    def edge(self) -> None:
        """Read the meter at the edge of a window, where that is cheap."""

    def between(self, start: float, end: float, *, rest_mw: float | None = None) -> Drawn | None:
        """Return what was drawn between two moments of the trace's clock; None when nothing was read in between.

        `rest_mw` is the power at rest, against which the edges are uncertain; without it all of the power is.
        """
        ...


@dataclass(slots=True, kw_only=True)
class PowerTrace:
    """Readings of momentary power in mW, every `interval_s`, in steps of `step_mw` or what the readings show."""

    read_mw: Callable[[], float | None]
    now: Callable[[], float]
    interval_s: float
    step_mw: float = 0.0
    _readings: list[tuple[float, float]] = field(default_factory=list)
    _turn: Lock = field(default_factory=Lock)

    def take(self) -> None:
        """Read the meter once; the middle of the reading is its moment."""
        with self._turn:
            began = self.now()
            mw = self.read_mw()
            if mw is not None:
                self._readings.append(((began + self.now()) / 2, mw))

    def edge(self) -> None:
        """Do nothing: the readings in the window hold to its edges, for the device works the same way up to them."""

    def between(self, start: float, end: float, *, rest_mw: float | None = None) -> Drawn | None:
        """Integrate by trapezoids; the first and the last reading within hold to the edges."""
        with self._turn:
            readings = list(self._readings)
        window = Window(start=start, end=end, rest_mw=rest_mw)
        return integrated(readings, window, interval_s=self.interval_s, step_mw=self.step_mw)


@dataclass(slots=True, kw_only=True)
class CounterTrace:
    """Readings of an energy counter in steps of `step_uj`, renewed every `interval_s`, that wraps at `range_uj`."""

    read_uj: Callable[[], int | None]
    now: Callable[[], float]
    interval_s: float
    range_uj: int | None = None
    step_uj: float = 1.0
    _readings: list[tuple[float, int]] = field(default_factory=list)
    _turn: Lock = field(default_factory=Lock)

    def take(self) -> None:
        """Read the counter once."""
        with self._turn:
            count_uj = self.read_uj()
            if count_uj is not None:
                self._readings.append((self.now(), count_uj))

    def edge(self) -> None:
        """Read the counter: a window that begins and ends with a reading is exact."""
        self.take()

    def between(self, start: float, end: float, *, rest_mw: float | None = None) -> Drawn | None:
        """Return what the counter rose by, evenly between readings; None where they do not enclose the window."""
        with self._turn:
            readings = list(self._readings)
        if end <= start or not readings or readings[0][0] > start or readings[-1][0] < end:
            return None
        energy_mj = 0.0
        for a, b in pairwise(readings):
            overlap_s = min(b[0], end) - max(a[0], start)
            if overlap_s > 0:
                rise_uj = counted(a[1], b[1], self.range_uj)
                if rise_uj is None:
                    return None
                energy_mj += rise_uj / 1_000 * min(overlap_s / (b[0] - a[0]), 1.0)
        length_s, edges = end - start, math.sqrt(2) * RECTANGULAR
        contrast_mw = abs(energy_mj / length_s - (rest_mw or 0.0))
        parts = (contrast_mw * self.interval_s * edges, self.step_uj / 1_000 * edges)
        return _drawn(energy_mj, length_s, sum(start <= at <= end for at, _ in readings), parts)


def integrated(
    readings: Sequence[tuple[float, float]], window: Window, *, interval_s: float, step_mw: float = 0.0
) -> Drawn | None:
    """Integrate (moment, mW) over `window` by trapezoids; its first and its last reading hold to its edges.

    None where no reading falls into it. `interval_s` and `step_mw` are what the uncertainty is about.
    """
    inside = [(at, mw) for at, mw in readings if window.start <= at <= window.end]
    if not inside or window.end <= window.start:
        return None
    held = [(window.start, inside[0][1]), *inside, (window.end, inside[-1][1])]
    energy_mj = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(held))
    length_s = sum(b[0] - a[0] for a, b in pairwise(held))  # of the same parts: in a short window they are rounded
    powers = [mw for _, mw in inside]
    contrast_mw = abs(energy_mj / length_s - (window.rest_mw or 0.0))
    parts = (
        contrast_mw * interval_s * math.sqrt(2) * RECTANGULAR,
        max(step_mw, _smallest_step(powers)) * length_s * RECTANGULAR,
        statistics.pstdev(powers) * length_s / math.sqrt(len(powers)),
    )
    return _drawn(energy_mj, length_s, len(inside), parts)


def counted(before: int, after: int, span: int | None) -> int | None:
    """Return what a counter that wraps at `span`, at most once, rose by between two readings.

    None when one that never wraps fell: it began anew, and nobody knows where it stood.
    """
    if after >= before:
        return after - before
    return None if span is None else after + span - before


def _drawn(energy_mj: float, length_s: float, readings: int, parts: Sequence[float]) -> Drawn:
    uncertain_mj = COVERAGE * math.hypot(*parts)
    return Drawn(
        energy_mj=energy_mj,
        power_mw=energy_mj / length_s,
        readings=readings,
        uncertainty_percent=100 * uncertain_mj / energy_mj if energy_mj > 0 else 100.0,
    )


def _smallest_step(values: Sequence[float]) -> float:
    """Return the smallest difference between readings that differ: they are rounded to no less than that."""
    distinct = sorted(set(values))
    return min((b - a for a, b in pairwise(distinct)), default=0.0)
