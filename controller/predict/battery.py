"""Works out what a model's energy means for a battery, a solar panel and a supply; pure."""

import math
from dataclasses import dataclass
from typing import Literal

from broker.errors import InvalidError

HOURS_PER_DAY = 24.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """The power of a board apart from inference, mW; `supply_mw` is the supply its maker asks for."""

    idle_mw: float
    supply_mw: float
    source: str


_PI = "Raspberry Pi documentation, power supplies"

BOARDS = {
    "raspberry_pi_5": Board(idle_mw=4_080.0, supply_mw=25_500.0, source=f"{_PI}: 800 mA bare board, 5 A at 5.1 V"),
    "raspberry_pi_4": Board(idle_mw=3_060.0, supply_mw=15_300.0, source=f"{_PI}: 600 mA bare board, 3 A at 5.1 V"),
    "jetson_nano_2gb": Board(
        idle_mw=2_000.0, supply_mw=15_000.0, source="assumed: 2 W at rest; NVIDIA asks for 5 V and 3 A"
    ),
    "beaglebone_black": Board(
        idle_mw=1_400.0, supply_mw=5_000.0, source="BeagleBone Black System Reference Manual: 280 mA, 1 A at 5 V"
    ),
}
"""Boards of which an idle power is known; of any other it has to be given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A model that infers `rate_hz` times per second; energy in mJ per inference, the board's idle power within it."""

    energy_mj: float
    high_mj: float
    rate_hz: float
    latency_ms: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is no rate and no energy."""
        for name in ("energy_mj", "high_mj", "rate_hz", "latency_ms"):
            _require(name, getattr(self, name), least=0.0, above=name != "rate_hz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What feeds the board: a battery (Wh), sun (Wh per day), and how much the supply can carry (mW)."""

    battery_wh: float | None = None
    solar_wh_per_day: float | None = None
    supply_mw: float | None = None

    def __post_init__(self) -> None:
        """Refuse negative figures."""
        for name in ("battery_wh", "solar_wh_per_day", "supply_mw"):
            _require(name, getattr(self, name), least=0.0, above=False)


Carries = Literal["yes", "no", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What comes of it; hours and shares from the predicted figure, `*_at_high` from the interval's upper end.

    `battery_hours` is None without a battery, `solar_share` (1 = the whole day's sun) without sun. `net_wh_per_day` is
    sun minus need. `duty` is the share of time spent inferring, None without a latency; above 1 the rate is too high.
    """

    average_mw: float
    average_mw_at_high: float
    wh_per_day: float
    battery_hours: float | None
    battery_hours_at_high: float | None
    solar_share: float | None
    solar_share_at_high: float | None
    net_wh_per_day: float | None
    duty: float | None
    highest_rate_hz: float | None
    peak_mw: float | None
    supply_carries: Carries
    notes: tuple[str, ...]


def outlook(load: Load, source: Source, *, idle_mw: float) -> Outlook:
    """Return how long `source` lasts under `load` on a board that draws `idle_mw` between inferences.

    The measured energy of an inference holds the board's idle power while it lasts, so idle is only added for the rest
    of the time; without a latency it is added for all of it, which errs on the safe side.
    """
    _require("idle_mw", idle_mw, least=0.0, above=False)
    duty = None if load.latency_ms is None else load.rate_hz * load.latency_ms / 1e3
    resting = 1.0 if duty is None else max(0.0, 1.0 - duty)
    rate_hz = load.rate_hz / duty if duty and duty > 1 else load.rate_hz
    average = idle_mw * resting + load.energy_mj * rate_hz
    most = idle_mw * resting + load.high_mj * rate_hz
    peak = None if load.latency_ms is None else max(idle_mw, load.high_mj / load.latency_ms * 1e3)
    wh_per_day = average * HOURS_PER_DAY / 1e3
    sun = source.solar_wh_per_day
    return Outlook(
        average_mw=average,
        average_mw_at_high=most,
        wh_per_day=wh_per_day,
        battery_hours=_hours(source.battery_wh, average),
        battery_hours_at_high=_hours(source.battery_wh, most),
        solar_share=wh_per_day / sun if sun else None,
        solar_share_at_high=most * HOURS_PER_DAY / 1e3 / sun if sun else None,
        net_wh_per_day=None if sun is None else sun - wh_per_day,
        duty=duty,
        highest_rate_hz=None if load.latency_ms is None else 1e3 / load.latency_ms,
        peak_mw=peak,
        supply_carries=_carries(peak, source.supply_mw),
        notes=_notes(load, source, duty),
    )


def _hours(battery_wh: float | None, average_mw: float) -> float | None:
    if battery_wh is None:
        return None
    return battery_wh * 1e3 / average_mw if average_mw else math.inf


def _carries(peak_mw: float | None, supply_mw: float | None) -> Carries:
    if peak_mw is None or supply_mw is None:
        return "unknown"
    return "yes" if peak_mw <= supply_mw else "no"


def _notes(load: Load, source: Source, duty: float | None) -> tuple[str, ...]:
    notes = []
    if duty is None:
        notes.append("no latency is known: idle power counts all the time, and the peak is unknown")
    elif duty > 1:
        rate, most = load.rate_hz, 1e3 / (load.latency_ms or math.inf)
        notes.append(f"{rate:g} per second is more than one after the other allows; figures are for {most:.3g}")
    if source.battery_wh is None:
        notes.append("no battery is known: give battery_wh")
    return tuple(notes)


def _require(name: str, value: float | None, *, least: float, above: bool) -> None:
    if value is None:
        return
    if not math.isfinite(value) or value < least or (above and value == least):
        kind = "positive" if above else "zero or more"
        raise InvalidError(f"{name} must be {kind}, not {value:g}", hint="energy in mJ, power in mW, Wh", field=name)
