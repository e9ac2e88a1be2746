"""What goes wrong with a simulated device, and when: drawn from its seed before the run begins; pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

from broker.errors import InvalidError
from edge_agent.simulation.clock import Clock, Jump
from edge_agent.simulation.draws import draws
from edge_agent.simulation.network import Weather
from edge_agent.simulation.span import Span

SAYS = {
    "cuts": "the connection is lost without a goodbye, for seconds",
    "reboots": "the device goes down in the middle of whatever it does",
    "latency": "messages take 50 ms on average",
    "loss": "one message in fifty never arrives",
    "duplicates": "three messages in a hundred arrive twice",
    "reorder": "three messages in a hundred are overtaken by later ones",
    "flash_full": "nothing can be written, for seconds",
    "flash_slow": "downloads are written at 1 MB/s",
    "clock_jumps": "the clock is wrong by up to two days, for a while",
    "clock_unset": "the clock is not set for up to a minute after each boot",
}

DAY_S = 86_400.0
MEAN_GAP_S = {"cuts": 90.0, "reboots": 300.0, "flash_full": 240.0, "clock_jumps": 120.0}
LENGTH_S = {"cuts": (2.0, 20.0), "flash_full": (3.0, 15.0), "clock_jumps": (10.0, 60.0)}
SLOW_BYTES_PER_S = 1e6
LONGEST_UNSET_S = 60.0
USUAL_SKEW_S = 0.05
"""Standard deviation of clocks that NTP sets over the internet; assumed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """A device's bad moments, in seconds of the run; the weather ends after `weather_s`."""

    cuts: tuple[Span, ...] = ()
    reboots: tuple[float, ...] = ()
    flash_full: tuple[Span, ...] = ()
    flash_bytes_per_s: float | None = None
    clock: Clock = field(default_factory=Clock)
    weather: Weather = field(default_factory=Weather)
    weather_s: float = float("inf")


def names_in(text: str) -> frozenset[str]:
    """Return the faults named in `cuts,loss`; raises InvalidError (`bad_setting`) for one that nobody knows."""
    names = frozenset(word.strip() for word in text.split(",") if word.strip())
    if unknown := sorted(names - SAYS.keys()):
        raise InvalidError(
            f"no fault is called '{unknown[0][:40]}'", code="bad_setting", hint=f"known: {', '.join(SAYS)}"
        )
    return names


def planned(names: Iterable[str], *, seed: int, device_id: str, run_s: float, often: float = 1.0) -> Faults:
    """Return the faults of a device in the next `run_s`; `often` times as frequent as usual."""
    wanted = frozenset(names)

    def draw(name: str) -> Random:
        return draws(seed, device_id, name)

    def spans(name: str) -> tuple[Span, ...]:
        return tuple(_spans(draw(name), name, run_s, often)) if name in wanted else ()

    reboots = tuple(span.at_s for span in spans("reboots"))
    jumps = tuple(
        Jump(
            at_s=span.at_s,
            by_s=draws(seed, device_id, f"jump {span.at_s}").uniform(-2, 2) * DAY_S,
            until_s=span.until_s,
        )
        for span in spans("clock_jumps")
    )
    return Faults(
        cuts=spans("cuts"),
        reboots=reboots,
        flash_full=spans("flash_full"),
        flash_bytes_per_s=SLOW_BYTES_PER_S if "flash_slow" in wanted else None,
        clock=Clock(
            skew_s=draw("skew").gauss(0, USUAL_SKEW_S),
            jumps=jumps,
            unset_s=draw("unset").uniform(5, LONGEST_UNSET_S) if "clock_unset" in wanted else 0.0,
        ),
        weather=Weather(
            latency_s=0.05 if "latency" in wanted else 0.0,
            loss=0.02 if "loss" in wanted else 0.0,
            duplicates=0.03 if "duplicates" in wanted else 0.0,
            reorder=0.03 if "reorder" in wanted else 0.0,
        ),
        weather_s=run_s,
    )


def _spans(draw: Random, name: str, run_s: float, often: float) -> Iterable[Span]:
    """Yield moments with exponential gaps; one ends before the next begins, and all with the run."""
    at_s = draw.expovariate(often / MEAN_GAP_S[name])
    while at_s < run_s:
        for_s = min(draw.uniform(*LENGTH_S[name]), run_s - at_s) if name in LENGTH_S else 0.0
        yield Span(at_s=at_s, for_s=for_s)
        at_s += for_s + draw.expovariate(often / MEAN_GAP_S[name])
