"""Measures a loaded model: latency, energy and golden answers over as many inferences as asked for."""

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event, Lock
from typing import Any

from broker.commands import Probe
from broker.energy import MEASURED, Source
from edge_agent.power.meter import Meter
from edge_agent.runtimes.session import Session
from edge_agent.work import StoppedError

LONGEST_S = 60.0
"""A probe ends here even when fewer inferences than asked for were possible, but never below `FEWEST`."""

FEWEST = 3

BLOCK_S = 0.02
"""How long inferences run before the meter is read and others have their turn; what happens between two costs much."""

GOLDEN_TOLERANCE = 0.01
"""Relative difference that another processor's rounding may make; fp32 kernels differ by 1e-6, fp16 ones by 1e-3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What `inferences` runs showed; energy is mJ per inference, `golden` the worst relative difference."""

    inferences: int
    latency_p50_ms: float
    latency_p95_ms: float
    latency_max_ms: float
    latency_mean_ms: float
    latency_std_ms: float
    energy_mj: float | None = None
    energy_source: Source | None = None
    golden: float | None = None

    @property
    def result(self) -> dict[str, Any]:
        """The figures as a command's result; what is unknown is left out."""
        figures: dict[str, Any] = {
            "latency_mean_ms": round(self.latency_mean_ms, 4),
            "latency_p50_ms": round(self.latency_p50_ms, 4),
            "latency_p95_ms": round(self.latency_p95_ms, 4),
            "latency_std_ms": round(self.latency_std_ms, 4),
            "inferences": self.inferences,
        }
        if self.energy_mj is not None:
            figures |= {"energy_mj": round(self.energy_mj, 4), "energy_source": self.energy_source}
        if self.golden is not None:
            figures["golden_difference"] = round(self.golden, 6)
        return figures

    @property
    def golden_failed(self) -> bool:
        """Whether the model answers something else than it was exported with."""
        return self.golden is not None and self.golden > GOLDEN_TOLERANCE


def measure(session: Session, meter: Meter, probe: Probe, *, stop: Event, turn: Lock) -> Measured:
    """Warm up, then run until both `probe.inferences` and `probe.min_s` are reached, for at most a minute.

    Inferences take `turn`, so that the serving model does not run at the same moment, and are metered in blocks of
    `BLOCK_S`; each is timed by itself. Raises StoppedError, and ArtifactError (`inference_failed`).
    """
    for i in range(probe.warmup):
        _unless(stop)
        with turn:
            session.run(i)
    walls_s: list[float] = []
    metered, metered_mj = 0, 0.0
    began, next_ones, run = time.monotonic(), 1, session.run
    while next_ones:
        _unless(stop)
        with turn:
            meter.begin()
            block_s = [run(number).wall_s for number in range(len(walls_s), len(walls_s) + next_ones)]
            energy_mj = meter.end(sum(block_s))
        walls_s += block_s
        if energy_mj is not None:
            metered, metered_mj = metered + next_ones, metered_mj + energy_mj
        next_ones = _next_ones(len(walls_s), time.monotonic() - began, max(block_s), probe)
    latencies_ms = [wall_s * 1_000 for wall_s in walls_s]
    mean_ms = statistics.fmean(latencies_ms)
    return Measured(
        inferences=len(latencies_ms),
        latency_p50_ms=percentile(latencies_ms, 50),
        latency_p95_ms=percentile(latencies_ms, 95),
        latency_max_ms=max(latencies_ms),
        latency_mean_ms=mean_ms,
        latency_std_ms=math.sqrt(math.fsum((each - mean_ms) ** 2 for each in latencies_ms) / len(latencies_ms)),
        energy_mj=metered_mj / metered if metered else None,
        energy_source=meter.sensor.source if meter.sensor and metered else None,
        golden=golden(session, turn),
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile of `values`, which must not be empty."""
    ranked = sorted(values)
    return ranked[min(int(len(ranked) * percent / 100), len(ranked) - 1)]


def over_budget(energy_mj: float | None, source: Source | None, budget_mj: float | None) -> str | None:
    """Return the sentence that says by which figures a budget is broken; None when it is kept or cannot be judged."""
    if energy_mj is None or source is None or budget_mj is None or energy_mj <= budget_mj:
        return None
    how = "measured" if source in MEASURED else {"model": "modelled"}.get(source, source)
    return f"{how} {figure(energy_mj)} mJ against a budget of {figure(budget_mj)} mJ"


def over_latency(p95_ms: float, budget_ms: float | None) -> str | None:
    """Return the sentence that says by which figures a latency budget is broken; None when it is kept."""
    if budget_ms is None or p95_ms <= budget_ms:
        return None
    return f"p95 of {figure(p95_ms)} ms against a budget of {figure(budget_ms)} ms"


def figure(value: float) -> str:
    """Return `value` with at least three significant digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits before the point


def _next_ones(done: int, elapsed_s: float, longest_s: float, probe: Probe) -> int:
    """Return how many inferences come next in one go, when one takes `longest_s`; 0 when there were enough."""
    left = max(probe.inferences, FEWEST) - done
    if done >= FEWEST and (elapsed_s >= LONGEST_S or (left <= 0 and elapsed_s >= probe.min_s)):
        return 0
    fit = max(1, int(BLOCK_S / longest_s)) if longest_s > 0 else 1
    return min(fit, left) if left > 0 else fit


def golden(session: Session, turn: Lock) -> float | None:
    """Return the worst relative difference from what its samples expect; None when they expect nothing."""
    differences = []
    for i in range(len(session.facts.samples)):
        with turn:
            differences.append(session.difference(i, session.run(i).output))
    return max((d for d in differences if d is not None), default=None)


def _unless(stop: Event) -> None:
    if stop.is_set():
        raise StoppedError
