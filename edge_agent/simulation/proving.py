"""Proves a model on a simulated board: nothing is computed, and it takes as long as it would there."""

from dataclasses import dataclass, replace
from pathlib import Path

from broker.commands import Probe
from edge_agent.bench import FEWEST, LONGEST_S, Measured, measure
from edge_agent.benchmark.figures import Benchmarked
from edge_agent.proving import Prover
from edge_agent.runtimes.session import Runtime, Session
from edge_agent.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedProver(Prover):
    """A prover that stays in the loop; `speed` times faster than the board, 0 for at once."""

    speed: float = 1.0

    async def load(self, path: Path, runtime: Runtime) -> Session:
        """Return the model; raises ArtifactError (`load_failed`)."""
        return self.dress(runtime.load(path))

    async def measure(self, session: Session, probe: Probe, work: Work) -> Measured:
        """Measure as many inferences as the board would have done, then let their time pass; raises StoppedError."""
        played = _played(session, probe)
        measured = measure(session, self.meter, played, stop=work.stop, turn=self.server.turn)
        await self._pass(measured.latency_mean_ms / 1_000 * (played.warmup + measured.inferences), work)
        return measured

    async def benchmark(self, session: Session, probe: Probe, work: Work) -> Benchmarked:
        """Measure for the record; raises StoppedError, ArtifactError."""
        return await Prover.benchmark(self, session, _played(session, probe), work)

    async def _pass(self, seconds: float, work: Work) -> None:
        if self.speed > 0:
            await work.rest(min(seconds, LONGEST_S) / self.speed)


def _played(session: Session, probe: Probe) -> Probe:
    """Return `probe` as a number of inferences: a simulated one takes no time here that could be waited for."""
    once_s = max(session.run(0).wall_s, 1e-6)
    wanted = max(probe.inferences, round(probe.min_s / once_s))
    return replace(probe, inferences=max(min(wanted, int(LONGEST_S / once_s)), FEWEST), min_s=0.0)
