"""Loads a model and proves on this device that it runs, answers right and keeps its budget."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from broker.commands import Command, Probe
from broker.messages import PowerState
from edge_agent.bench import Measured, figure, measure, over_budget, over_latency
from edge_agent.benchmark.figures import Benchmarked, Plan
from edge_agent.benchmark.run import benchmark
from edge_agent.power.meter import Meter
from edge_agent.runtimes import choose
from edge_agent.runtimes.session import Runtime, Session
from edge_agent.serving import Server
from edge_agent.work import Work

SOAK_INFERENCES = 50
"""Inferences of the measurement that ends a soak: enough for a p95."""


REST_S = 2.0
"""How long the device rests before a benchmark, for the power that it draws anyway."""


class UnfitError(Exception):
    """The model runs, but must not stay: `code` and `reason` say why, `measured` what it showed."""

    def __init__(self, code: str, reason: str, measured: Measured | None = None) -> None:
        """Keep why."""
        super().__init__(reason)
        self.code, self.reason, self.measured = code, reason, measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Prover:
    """Runtimes, a meter and the serving thread's turn.

    `dress` may put a simulated board around a session, `senses` tells temperature and throttling.
    """

    runtimes: Sequence[Runtime]
    meter: Meter
    server: Server
    dress: Callable[[Session], Session]
    senses: Callable[[], PowerState] = PowerState

    def runtime_for(self, command: Command) -> Runtime:
        """Return what runs the artifact; raises RuntimeUnavailableError."""
        form = command.artifact.format if command.artifact else "onnx"
        return choose(form, self.runtimes, wanted=command.runtime)[0]

    async def load(self, path: Path, runtime: Runtime) -> Session:
        """Return the loaded model; raises ArtifactError (`load_failed`)."""
        return self.dress(await asyncio.to_thread(runtime.load, path))

    async def probe(self, session: Session, command: Command, work: Work) -> Measured:
        """Measure before anything is committed; raises UnfitError, StoppedError, ArtifactError."""
        measured = await self.measure(session, command.probe or Probe(), work)
        judge(measured, command)
        return measured

    async def soak(self, session: Session, command: Command, work: Work) -> Measured:
        """Let the active model run for `soak_s`, then measure again; raises UnfitError, StoppedError, ArtifactError."""
        await work.rest(command.soak_s)
        measured = await self.measure(session, Probe(warmup=0, inferences=SOAK_INFERENCES), work)
        judge(measured, command)
        return measured

    async def measure(self, session: Session, probe: Probe, work: Work) -> Measured:
        """Measure in a thread, so that the loop goes on."""
        return await asyncio.to_thread(measure, session, self.meter, probe, stop=work.stop, turn=self.server.turn)

    async def benchmark(self, session: Session, probe: Probe, work: Work) -> Benchmarked:
        """Measure for the record while the running model pauses; raises StoppedError, ArtifactError."""
        plan = Plan(runs=probe.inferences, warmup=probe.warmup, min_s=probe.min_s, idle_s=REST_S)

        def alone() -> Benchmarked:
            with self.server.paused():
                return benchmark(session, self.meter, plan, stop=work.stop, turn=self.server.turn, senses=self.senses)

        return await asyncio.to_thread(alone)


def judge(measured: Measured, command: Command) -> None:
    """Raise UnfitError (`golden_mismatch`, `over_budget`, `over_latency`) when the model must not stay."""
    if measured.golden_failed and measured.golden is not None:
        reason = f"the answers differ by {figure(measured.golden * 100)} % from those it was exported with"
        raise UnfitError("golden_mismatch", reason, measured)
    costly = over_budget(measured.energy_mj, measured.energy_source, command.budget_mj)
    slow = over_latency(measured.latency_p95_ms, command.budget_ms)
    if costly is not None:
        raise UnfitError("over_budget", f"{costly}; {slow}" if slow else costly, measured)
    if slow is not None:
        raise UnfitError("over_latency", slow, measured)
