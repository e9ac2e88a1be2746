"""Plots as SVG text that needs nothing else: points, bars and lines, readable in light and dark."""

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 560, 380, 62, 46, 14, 14
COLOURS = ("#2f6fb0", "#c8553d", "#4c9a5e", "#8a5fb0", "#b5882a", "#3a9a9a", "#a8577e", "#6b7686", "#7a8f2a")

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Named points of one colour."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """From figures to pixels, along one side."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """Return where `value` lies."""
        low, high, at = (math.log10(v) if self.logarithmic else v for v in (self.low, self.high, value))
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return round figures between the ends: powers of ten, or about six steps."""
        if self.logarithmic:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            return [10.0**power for power in powers if self.low <= 10.0**power <= self.high]
        rough = (self.high - self.low) / 6
        step = 10 ** math.floor(math.log10(rough))
        step *= next(times for times in (1, 2, 5, 10) if times * step >= rough)
        first = math.ceil(self.low / step)
        return [step * number for number in range(first, math.floor(self.high / step) + 1)]


def scatter(series: Sequence[Series], *, x: str, y: str) -> str:
    """Return points on two logarithmic axes of the same range, with the diagonal where both agree."""
    values = [value for each in series for point in each.points for value in point]
    low, high = min(values) / 1.2, max(values) * 1.2
    across, up = _scales(low, high, low, high, logarithmic=True)
    line = _line(across(low), up(low), across(high), up(high), "mark")
    dots = "".join(
        f'<circle cx="{across(a):.1f}" cy="{up(b):.1f}" r="2.4" fill="{colour}" fill-opacity=".6"/>'
        for each, colour in _coloured(series)
        for a, b in each.points
    )
    return _frame(across, up, x, y, line + dots) + _legend(series)


def lines(series: Sequence[Series], *, x: str, y: str, diagonal: bool = False) -> str:
    """Return connected points, and the diagonal if asked for."""
    every = [point for each in series for point in each.points]
    ends = [f(values) for values in zip(*every, strict=True) for f in (min, max)]
    across, up = _scales(*ends)
    mark = _line(across(ends[0]), up(ends[0]), across(ends[1]), up(ends[1]), "mark") if diagonal else ""
    drawn = "".join(
        f'<polyline fill="none" stroke="{colour}" stroke-width="1.8" points="'
        + " ".join(f"{across(a):.1f},{up(b):.1f}" for a, b in each.points)
        + '"/>'
        for each, colour in _coloured(series)
    )
    return _frame(across, up, x, y, mark + drawn) + _legend(series)


def bars(named: Sequence[tuple[str, float]], *, unit: str) -> str:
    """Return horizontal bars with their figures, negative ones to the left."""
    row, label = 24, 200
    low, high = min(0.0, *(value for _, value in named)), max(0.0, *(value for _, value in named))
    across = Scale(low=low, high=high, start=label + 8, end=WIDTH - 70)
    drawn = "".join(
        f'<text x="{label}" y="{i * row + 16}" text-anchor="end">{_text(name)}</text>'
        f'<rect x="{min(across(0), across(value)):.1f}" y="{i * row + 5}" height="14"'
        f' width="{abs(across(value) - across(0)):.1f}" fill="{COLOURS[0]}"/>'
        f'<text x="{max(across(0), across(value)) + 6:.1f}" y="{i * row + 16}">{value:.1f} {_text(unit)}</text>'
        for i, (name, value) in enumerate(named)
    )
    return f'<svg viewBox="0 0 {WIDTH} {len(named) * row + 8}" role="img">{drawn}</svg>'


def _scales(x0: float, x1: float, y0: float, y1: float, *, logarithmic: bool = False) -> tuple[Scale, Scale]:
    return (
        Scale(low=x0, high=x1, start=LEFT, end=WIDTH - RIGHT, logarithmic=logarithmic),
        Scale(low=y0, high=y1, start=HEIGHT - BOTTOM, end=TOP, logarithmic=logarithmic),
    )


def _frame(across: Scale, up: Scale, x: str, y: str, inside: str) -> str:
    grid = "".join(
        _line(across(tick), TOP, across(tick), HEIGHT - BOTTOM, "grid")
        + f'<text x="{across(tick):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{tick:g}</text>'
        for tick in across.ticks()
    ) + "".join(
        _line(LEFT, up(tick), WIDTH - RIGHT, up(tick), "grid")
        + f'<text x="{LEFT - 6}" y="{up(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
        for tick in up.ticks()
    )
    titles = (
        f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{_text(x)}</text>'
        f'<text transform="translate(14 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">{_text(y)}</text>'
    )
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{grid}{inside}{titles}</svg>'


def _legend(series: Sequence[Series]) -> str:
    marks = "".join(f'<li style="--colour:{colour}">{_text(each.name)}</li>' for each, colour in _coloured(series))
    return f'<ul class="legend">{marks}</ul>'


def _coloured(series: Sequence[Series]) -> Iterable[tuple[Series, str]]:
    return ((each, COLOURS[i % len(COLOURS)]) for i, each in enumerate(series))


def _line(x0: float, y0: float, x1: float, y1: float, kind: str) -> str:
    return f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" class="{kind}"/>'


def _text(words: str) -> str:
    return html.escape(words)
