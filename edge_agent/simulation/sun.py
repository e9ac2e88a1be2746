"""What a panel yields over a day with clouds; pure."""

import math
import random
from dataclasses import dataclass

DAY_S = 86_400.0
RISE_S, SET_S = 6 * 3_600.0, 18 * 3_600.0
CLOUDED_H = 24
CLEAREST, DULLEST = 1.0, 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Sun:
    """A panel of `wh_per_day` on a clear day, and the part of it that each hour's clouds let through."""

    wh_per_day: float
    hours: tuple[float, ...] = (1.0,) * CLOUDED_H


def sun_over(wh_per_day: float, draw: random.Random) -> Sun:
    """Return a sun with clouds drawn from `draw`."""
    return Sun(wh_per_day=wh_per_day, hours=tuple(draw.uniform(DULLEST, CLEAREST) for _ in range(CLOUDED_H)))


def yield_mw(sun: Sun, day_s: float) -> float:
    """Return the panel's power `day_s` seconds after midnight: half a sine from six to six."""
    second = day_s % DAY_S
    if not RISE_S < second < SET_S:
        return 0.0
    height = math.sin(math.pi * (second - RISE_S) / (SET_S - RISE_S))
    peak_mw = sun.wh_per_day * math.pi / 2 / ((SET_S - RISE_S) / 3_600) * 1_000
    return peak_mw * height * sun.hours[int(second // 3_600) % CLOUDED_H]
