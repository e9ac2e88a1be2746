"""Measures a loaded model for the record: rest first, then warm-up, then runs whose power is sampled beside them."""

import contextlib
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Lock

from broker.messages import PowerSensor, PowerState
from edge_agent.bench import FEWEST, GOLDEN_TOLERANCE, LONGEST_S, figure, golden, percentile
from edge_agent.benchmark.figures import Benchmarked, Energy, Plan
from edge_agent.benchmark.rest import OtherWork, Rest, watch
from edge_agent.power.meter import Meter
from edge_agent.power.sampling import Sampling
from edge_agent.power.trace import Drawn, Trace
from edge_agent.runtimes.session import Ran, Session
from edge_agent.work import StoppedError

READINGS = 20
"""Of a meter that should fall into the runs: its reading at either edge then counts for a twentieth."""

GLANCE_S = 0.3
"""How long a device without a meter is looked at: only for whether it rests."""


def benchmark(
    session: Session,
    meter: Meter,
    plan: Plan,
    *,
    stop: Event,
    turn: Lock,
    senses: Callable[[], PowerState] = PowerState,
) -> Benchmarked:
    """Measure `session`, for a minute or `plan.min_s` at most; each inference takes `turn`.

    The runs go on until the meter had time for `READINGS` readings. Energy is integrated over exactly the runs; where
    power is not measured but modelled or simulated it is that power x the time worked. Raises StoppedError, and
    ArtifactError (`inference_failed`).
    """
    bench = _Bench(session=session, meter=meter, trace=meter.trace(), stop=stop, turn=turn)
    with bench.sampling():
        metered = bench.trace is not None or plan.external
        rest = watch(plan.idle_s if metered else min(plan.idle_s, GLANCE_S), bench.trace, stop)
        for i in range(plan.warmup):
            bench.once(i)
        work, started_at = OtherWork(), time.time()
        runs = bench.run(plan)
        ended_at, beside = time.time(), work.note()
    sensed, difference = senses(), golden(session, turn)
    drawn = bench.trace.between(runs.began, runs.ended, rest_mw=rest.power_mw) if bench.trace else None
    notes = (
        rest.note,
        beside,
        _cut_short(runs, plan.runs),
        _too_short(bench, drawn, runs),
        "the device was throttled" if sensed.throttled else None,
        _wrong_answers(difference),
    )
    return Benchmarked(
        inferences=len(runs.latencies_ms),
        latency_mean_ms=statistics.fmean(runs.latencies_ms),
        latency_p50_ms=percentile(runs.latencies_ms, 50),
        latency_p95_ms=percentile(runs.latencies_ms, 95),
        latency_max_ms=max(runs.latencies_ms),
        latency_std_ms=statistics.pstdev(runs.latencies_ms),
        throughput_per_s=len(runs.latencies_ms) / runs.busy_s,
        started_at=started_at,
        ended_at=ended_at,
        rest=rest,
        energy=_energy(meter.sensor, drawn, runs, rest),
        golden=difference,
        temperature_c=sensed.temp_c,
        notes=tuple(note for note in notes if note),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Runs:
    """Inferences back to back; moments are of the monotonic clock, `energies_mj` of a meter that is not sampled."""

    latencies_ms: list[float]
    energies_mj: list[float]
    began: float
    ended: float

    @property
    def length_s(self) -> float:
        return self.ended - self.began

    @property
    def busy_s(self) -> float:
        """How long the device worked: a simulated board's time where that is longer than ours."""
        return max(sum(self.latencies_ms) / 1_000, self.length_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    """A session at work beside a meter."""

    session: Session
    meter: Meter
    trace: Trace | None
    stop: Event
    turn: Lock

    @property
    def rate_hz(self) -> float | None:
        return self.meter.sensor.rate_hz if self.meter.sensor else None

    def sampling(self) -> contextlib.AbstractContextManager[object]:
        """Return the context in which the trace is filled, if there is one."""
        return contextlib.nullcontext() if self.trace is None else Sampling(self.trace, self.rate_hz)

    def once(self, sample: int) -> Ran:
        """Run one inference in our turn."""
        if self.stop.is_set():
            raise StoppedError
        with self.turn:
            return self.session.run(sample)

    def run(self, plan: Plan) -> _Runs:
        """Run as often and as long as `plan` and the meter want."""
        longest_s = max(LONGEST_S, plan.min_s)
        least_s = max(plan.min_s, READINGS / self.rate_hz if self.trace and self.rate_hz else 0.0)
        latencies_ms: list[float] = []
        energies_mj: list[float] = []
        self._edge()
        began = ended = time.monotonic()
        while len(latencies_ms) < FEWEST or (
            ended - began < longest_s and (len(latencies_ms) < plan.runs or ended - began < least_s)
        ):
            if self.trace is None:
                self.meter.begin()
            ran = self.once(len(latencies_ms))
            ended = time.monotonic()
            latencies_ms.append(ran.wall_s * 1_000)
            energy_mj = self.meter.end(ran.wall_s) if self.trace is None else None
            if energy_mj is not None:
                energies_mj.append(energy_mj)
        self._edge()
        return _Runs(latencies_ms=latencies_ms, energies_mj=energies_mj, began=began, ended=ended)

    def _edge(self) -> None:
        if self.trace is not None:
            self.trace.edge()


def _energy(sensor: PowerSensor | None, drawn: Drawn | None, runs: _Runs, rest: Rest) -> Energy | None:
    inferences, idle_mw = len(runs.latencies_ms), rest.power_mw
    if sensor is None or (drawn is None and not runs.energies_mj):
        return None
    if drawn is None:
        return Energy(
            source=sensor.source,
            gross_mj=statistics.fmean(runs.energies_mj),
            power_mw=sum(runs.energies_mj) / sum(runs.latencies_ms) * 1_000,
            rail=sensor.rail,
            rate_hz=sensor.rate_hz,
        )
    return Energy(
        source=sensor.source,
        gross_mj=drawn.energy_mj / inferences,
        power_mw=drawn.power_mw,
        rail=sensor.rail,
        rate_hz=sensor.rate_hz,
        idle_mw=idle_mw,
        net_mj=None if idle_mw is None else (drawn.power_mw - idle_mw) * runs.length_s / inferences,
        uncertainty_percent=drawn.uncertainty_percent,
    )


def _cut_short(runs: _Runs, wanted: int) -> str | None:
    done = len(runs.latencies_ms)
    return f"{runs.length_s:.0f} s were over after {done} of {wanted} runs" if done < wanted else None


def _too_short(bench: _Bench, drawn: Drawn | None, runs: _Runs) -> str | None:
    """Say that the meter had too little time, if it had."""
    if bench.trace is None or not bench.rate_hz:
        return None
    if drawn is None:
        return f"the meter gave no reading in the {runs.length_s:.3g} s of the runs"
    if runs.length_s * bench.rate_hz < READINGS - 1:
        return f"{runs.length_s:.3g} s of runs are too short for a meter of {bench.rate_hz:g} readings a second"
    return None


def _wrong_answers(difference: float | None) -> str | None:
    if difference is None or difference <= GOLDEN_TOLERANCE:
        return None
    return f"its answers differ by {figure(difference * 100)} % from those it was exported with"
