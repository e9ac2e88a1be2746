"""Finds by how much an external meter's clock differs from the device's: where its power follows the load; pure.

The marks are a step function, 1 while a model ran and 0 while the device rested. For a supposed offset its correlation
with the recorded power over the marked times is computed; the offset with the highest is taken. Each model's own steps
give an offset, too: their scatter says how well it is known.
"""

import math
import statistics
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from broker.errors import InvalidError
from edge_agent.benchmark.marks import Mark
from edge_agent.benchmark.record import Record

LEAST_CORRELATION = 0.6
"""Below this the load does not show in the record: another device's, or another day's."""

RIVAL = 0.85
"""Another offset that correlates this well beside the best one makes both unsure."""

FINER = (10.0, 100.0)
"""By how much the search is refined, twice, around the best coarse offset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """Meter's clock = device's clock + `offset_s`, within `uncertainty_s` (about 95 %)."""

    offset_s: float
    uncertainty_s: float
    correlation: float
    runs: int


@dataclass(slots=True)
class _Integral:
    """Cumulated power and squared power of a record, constant between two readings."""

    record: Record
    _sums: list[float] = field(init=False)
    _squares: list[float] = field(init=False)

    def __post_init__(self) -> None:
        steps = [
            (b - a, (p + q) / 2)
            for (a, b), (p, q) in zip(pairwise(self.record.moments), pairwise(self.record.powers_mw), strict=True)
        ]
        self._sums = list(accumulate((s * p for s, p in steps), initial=0.0))
        self._squares = list(accumulate((s * p * p for s, p in steps), initial=0.0))

    def over(self, start: float, stop: float) -> tuple[float, float]:
        """Return the integrals of power and squared power from `start` to `stop`, which the record covers."""
        before, after = self._at(start), self._at(stop)
        return after[0] - before[0], after[1] - before[1]

    def _at(self, moment: float) -> tuple[float, float]:
        moments = self.record.moments
        i = min(max(bisect_right(moments, moment) - 1, 0), len(moments) - 2)
        share = min(max((moment - moments[i]) / (moments[i + 1] - moments[i]), 0.0), 1.0)
        sums, squares = self._sums, self._squares
        return sums[i] + share * (sums[i + 1] - sums[i]), squares[i] + share * (squares[i + 1] - squares[i])


def align(record: Record, marks: Sequence[Mark], *, most_s: float) -> Alignment:
    """Return how `record`'s clock stands to that of `marks`, searched within `most_s` where it is absolute.

    Raises InvalidError: `not_covered`, `no_load_steps`, `ambiguous`.
    """
    integral = _Integral(record)
    low, high = _span(record, marks, most_s)
    shortest_s = min(mark.stop - mark.start for mark in marks)
    step_s = max(record.interval_s / 2, shortest_s / 4)
    grid = [low + i * step_s for i in range(int((high - low) / step_s) + 1)]
    scores = [_correlation(integral, marks, offset) for offset in grid]
    best = max(range(len(grid)), key=lambda i: scores[i])
    if scores[best] < LEAST_CORRELATION:
        raise InvalidError(
            f"the load does not show in the record: their correlation is {scores[best]:.2f} at best",
            code="no_load_steps",
            hint="is it of this device and this time? a wrong time zone needs a larger --max-offset-s",
        )
    offset_s = _refined(integral, marks, grid[best], step_s, (low, high))
    top = _correlation(integral, marks, offset_s)
    apart_s = max(2 * step_s, _pair_s(marks) / 2)
    rival = max((s for o, s in zip(grid, scores, strict=True) if abs(o - offset_s) > apart_s), default=0.0)
    if rival > RIVAL * top:
        raise InvalidError(
            "the record fits the load at two offsets equally well, so neither is taken",
            code="ambiguous",
            hint="record some minutes of rest before and after, or set the meter's clock and narrow --max-offset-s",
        )
    uncertain_s, runs = _scatter(integral, marks, offset_s, (low, high))
    return Alignment(offset_s=offset_s, uncertainty_s=uncertain_s, correlation=top, runs=runs)


def _span(record: Record, marks: Sequence[Mark], most_s: float) -> tuple[float, float]:
    """Return the least and the greatest offset at which the record covers all marks."""
    first, last = min(mark.start for mark in marks), max(mark.stop for mark in marks)
    low, high = record.moments[0] - first, record.moments[-1] - last
    if record.absolute:
        low, high = max(low, -most_s), min(high, most_s)
    if low > high:
        length_s = record.moments[-1] - record.moments[0]
        raise InvalidError(
            f"the record of {length_s:.0f} s does not cover the benchmark of {last - first:.0f} s",
            code="not_covered",
            hint="start the meter before and stop it after; clocks further apart need a larger --max-offset-s",
        )
    return low, high


def _correlation(integral: _Integral, marks: Sequence[Mark], offset_s: float) -> float:
    """Return the correlation of load and power over the marked times, shifted by `offset_s`."""
    busy_s = rest_s = busy = rest = squares = 0.0
    for mark in marks:
        power, square = integral.over(mark.start + offset_s, mark.stop + offset_s)
        squares += square
        if mark.kind == "runs":
            busy_s, busy = busy_s + mark.stop - mark.start, busy + power
        else:
            rest_s, rest = rest_s + mark.stop - mark.start, rest + power
    whole_s = busy_s + rest_s
    if not busy_s or not rest_s:
        return 0.0
    variance = squares / whole_s - ((busy + rest) / whole_s) ** 2
    if variance <= 0:
        return 0.0
    return (busy / busy_s - rest / rest_s) * math.sqrt(busy_s * rest_s) / whole_s / math.sqrt(variance)


def _refined(
    integral: _Integral, marks: Sequence[Mark], about_s: float, step_s: float, span: tuple[float, float]
) -> float:
    """Return the best offset near `about_s`: the middle of those that are as good."""
    for finer in FINER:
        fine_s = step_s / finer
        near = [about_s + i * fine_s for i in range(-10, 11) if span[0] <= about_s + i * fine_s <= span[1]]
        scores = [_correlation(integral, marks, offset) for offset in near]
        top = max(scores)
        about_s = statistics.fmean(o for o, s in zip(near, scores, strict=True) if s >= top - 1e-9)
    return about_s


def _scatter(
    integral: _Integral, marks: Sequence[Mark], offset_s: float, span: tuple[float, float]
) -> tuple[float, int]:
    """Return twice the standard error of the offset by each model's own steps, and how many there are."""
    pairs = [pair for pair in _pairs(marks) if len({mark.kind for mark in pair}) > 1]
    step_s = integral.record.interval_s
    own = [_refined(integral, pair, offset_s, step_s, span) for pair in pairs]
    resolution_s = step_s / math.sqrt(12)
    spread_s = statistics.stdev(own) if len(own) > 1 else step_s
    return 2 * max(spread_s, resolution_s) / math.sqrt(max(len(own), 1)), len(own)


def _pairs(marks: Sequence[Mark]) -> list[list[Mark]]:
    """Return the marks row by row."""
    rows: dict[tuple[str, str], list[Mark]] = {}
    for mark in marks:
        rows.setdefault((mark.at, mark.artifact_sha256), []).append(mark)
    return list(rows.values())


def _pair_s(marks: Sequence[Mark]) -> float:
    """Return the length of the shortest row."""
    return min(max(m.stop for m in pair) - min(m.start for m in pair) for pair in _pairs(marks))
