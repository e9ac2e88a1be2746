"""What a benchmark is asked for, and what it shows."""

from dataclasses import dataclass
from typing import Any

from broker.energy import Source
from edge_agent.benchmark.rest import Rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """At least `runs` inferences over at least `min_s`, after `warmup` others and `idle_s` of rest.

    Without a meter the rest is cut short, unless an `external` one records it.
    """

    runs: int = 100
    warmup: int = 10
    min_s: float = 0.0
    idle_s: float = 3.0
    external: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """mJ per inference: gross, and net of what the device draws at rest; powers in mW. Rest is None where unknown."""

    source: Source
    gross_mj: float
    power_mw: float
    rail: str | None = None
    rate_hz: float | None = None
    idle_mw: float | None = None
    net_mj: float | None = None
    uncertainty_percent: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmarked:
    """What a benchmark showed; the runs went from `started_at` to `ended_at` (Unix seconds)."""

    inferences: int
    latency_mean_ms: float
    latency_p50_ms: float
    latency_p95_ms: float
    latency_max_ms: float
    latency_std_ms: float
    throughput_per_s: float
    started_at: float
    ended_at: float
    rest: Rest
    energy: Energy | None = None
    golden: float | None = None
    temperature_c: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def result(self) -> dict[str, Any]:
        """The figures as a command's result; what is unknown is left out."""
        names = ("latency_mean_ms", "latency_p50_ms", "latency_p95_ms", "latency_std_ms", "throughput_per_s")
        figures: dict[str, Any] = {name: round(getattr(self, name), 4) for name in names}
        figures["inferences"] = self.inferences
        if self.energy is not None:
            figures |= _energy_result(self.energy)
        if self.golden is not None:
            figures["golden_difference"] = round(self.golden, 6)
        if self.temperature_c is not None:
            figures["temperature_c"] = self.temperature_c
        return figures | ({"notes": list(self.notes)} if self.notes else {})


def _energy_result(energy: Energy) -> dict[str, Any]:
    figures: dict[str, Any] = {"energy_mj": energy.gross_mj, "energy_net_mj": energy.net_mj}
    figures |= {"power_mw": energy.power_mw, "power_idle_mw": energy.idle_mw}
    figures["uncertainty_percent"] = energy.uncertainty_percent
    rounded = {name: round(value, 4) for name, value in figures.items() if value is not None}
    words = {"energy_source": energy.source, "rail": energy.rail, "rate_hz": energy.rate_hz}
    return rounded | {name: word for name, word in words.items() if word is not None}
