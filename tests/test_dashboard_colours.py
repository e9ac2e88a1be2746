"""Colours that are told apart stay apart for colour-blind eyes, in both themes; and none of them stands alone."""

import re
from itertools import combinations

import pytest

from dashboard import charts, markup, style

# What a colour becomes for those who lack one kind of cone, on linear RGB: Machado, Oliveira and Fernandes, "A
# Physiologically-based Model for Simulation of Color Vision Deficiency", IEEE TVCG 15(6), 2009, severity 1.0.
SEEN_WITH = {
    "all cones": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)),
}
TO_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.072175), (0.0193339, 0.119192, 0.9503041))
D65 = (0.95047, 1.0, 1.08883)
TONES = ("good", "warn", "bad", "odd", "busy", "mute")
THEMES = ("light", "dark")
CSS = style.SHEET.read_text()
OF_THEME = {name: pair for name, *pair in re.findall(r"--(\w+): light-dark\((#\w{6}), (#\w{6})\)", CSS)}
SHAPES = {tone: re.findall(rf"\.ew-pill\.{tone} > i {{([^}}]+)}}", CSS) for tone in (*TONES, "rest")}

PX_DEG = 0.0213
"""How wide a CSS pixel is seen, by its definition: 1/96 inch at arm's length (CSS Values 4, 5.2)."""
SYMBOL_PX, LEGEND_PX = 7.3, 16.0
"""How wide the symbol of a state is, and the stroke of a line in a legend."""

TOGETHER = [("p50", "p95"), ("p50", "peak"), ("p95", "peak"), ("cpu", "ram")]
"""Lines that share a chart; energy stands beside the marks of its budget and its prediction."""


def linear(colour):
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return tuple(part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)


def times(matrix, vector):
    return tuple(sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)


def lab(colour, eyes):
    """The CIELAB coordinates of an sRGB colour as these eyes see it."""
    seen = (min(1.0, max(0.0, part)) for part in times(SEEN_WITH[eyes], linear(colour)))
    ratios = (part / white for part, white in zip(times(TO_XYZ, tuple(seen)), D65, strict=True))
    x, y, z = (ratio ** (1 / 3) if ratio > 216 / 24389 else (24389 / 27 * ratio + 16) / 116 for ratio in ratios)
    return (116 * y - 16, 500 * (x - y), 200 * (y - z))


def noticeable(size_px):
    """What half of people notice of a patch so wide, along L*, a* and b*: Stone, Szafir and Setlur, "An Engineering
    Model for Color Difference as a Function of Size", Color and Imaging Conference 2014."""
    return [0.5 * (a + b / (size_px * PX_DEG)) for a, b in ((10.16, 1.5), (10.68, 3.08), (10.7, 5.74))]


def apart(one, other, eyes, size_px):
    """How many noticeable differences lie between two colours, along the axis where they differ most."""
    steps = zip(lab(one, eyes), lab(other, eyes), noticeable(size_px), strict=True)
    return max(abs(a - b) / step for a, b, step in steps)


def contrast(one, other):
    light, dark = sorted((times(TO_XYZ, linear(each))[1] for each in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_lightness_is_that_of_the_standard():
    assert lab("#ffffff", "all cones")[0] == pytest.approx(100, abs=0.01)
    assert lab("#ff0000", "all cones") == pytest.approx((53.24, 80.09, 67.2), abs=0.05)


@pytest.mark.parametrize("eyes", SEEN_WITH)
def test_greys_stay_grey_for_everybody(eyes):
    assert lab("#808080", eyes)[1:] == pytest.approx((0, 0), abs=0.1)


@pytest.mark.parametrize("eyes", SEEN_WITH)
@pytest.mark.parametrize("theme", THEMES)
def test_the_colours_of_states_are_told_apart_at_the_size_of_their_symbol(theme, eyes):
    colours = {tone: OF_THEME[tone][THEMES.index(theme)] for tone in TONES}

    near = {pair: apart(*(colours[tone] for tone in pair), eyes, SYMBOL_PX) for pair in combinations(TONES, 2)}
    assert {pair: round(distance, 2) for pair, distance in near.items() if distance < 1} == {}


@pytest.mark.parametrize("eyes", SEEN_WITH)
def test_lines_of_one_chart_are_told_apart_in_its_legend(eyes):
    pairs = [tuple(style.SERIES[name] for name in pair) for pair in TOGETHER]
    pairs += combinations((style.SERIES["energy"], style.BUDGET, style.PREDICTED), 2)
    pairs += combinations((style.SERIES["soc"], style.CHARGING, style.THROTTLED), 2)

    assert [pair for pair in pairs if apart(*pair, eyes, LEGEND_PX) < 1] == []


@pytest.mark.parametrize("theme", THEMES)
def test_each_colour_is_seen_on_its_ground(theme):
    at = THEMES.index(theme)
    ground = OF_THEME["card"][at]

    assert [tone for tone in TONES if contrast(OF_THEME[tone][at], ground) < 4.5] == []
    assert [name for name, colour in style.SERIES.items() if contrast(colour, ground) < 3] == []


def test_every_state_has_a_shape_of_its_own_besides_its_colour_and_its_word():
    drawn = [" ".join(SHAPES[tone]) for tone in (*TONES, "rest")]

    assert SHAPES["good"] == []  # the plain dot
    assert len(set(drawn)) == len(drawn)
    assert set(markup._TONES.values()) | set(markup._PHASE_TONES.values()) <= {*TONES, "rest"}
    assert len(set(markup._TONES.values())) == len(markup._TONES)


def test_lines_of_one_chart_differ_by_their_dashes_too():
    for one, other in TOGETHER:
        assert charts._DASHES.get(one) != charts._DASHES.get(other)
    assert len({tuple(dash) for dash in charts.KINDS.values()}) == len(charts.KINDS)
