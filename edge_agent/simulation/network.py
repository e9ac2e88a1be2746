"""How good the way to the broker is: how long it takes, what it loses, doubles and exchanges; pure."""

from dataclasses import dataclass
from random import Random

LATEST_S = 0.5
"""A message that was overtaken comes after so long at the latest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """Probabilities (0 to 1) for each message, and the mean of its way in seconds."""

    latency_s: float = 0.0
    loss: float = 0.0
    duplicates: float = 0.0
    reorder: float = 0.0

    @property
    def calm(self) -> bool:
        """Whether nothing happens to messages."""
        return self == Weather()


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """What happens to one message: how often it arrives, how long it takes, and how long others overtake it."""

    copies: int = 1
    delay_s: float = 0.0
    overtaken_s: float = 0.0


def passage(weather: Weather, draw: Random) -> Passage:
    """Return what happens to the next message."""
    if weather.calm:
        return Passage()
    chance = draw.random()
    delay_s = draw.expovariate(1 / weather.latency_s) if weather.latency_s else 0.0
    if chance < weather.loss:
        return Passage(copies=0)
    if chance < weather.loss + weather.duplicates:
        return Passage(copies=2, delay_s=delay_s)
    if chance < weather.loss + weather.duplicates + weather.reorder:
        return Passage(delay_s=delay_s, overtaken_s=draw.uniform(0.0, LATEST_S))
    return Passage(delay_s=delay_s)
