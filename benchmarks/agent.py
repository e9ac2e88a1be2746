"""What the agent costs an inference: by a probe and as it is served, beside bare onnxruntime in turns of 10 ms.

A machine's speed drifts, but within 20 ms it is the same for both. The ratio is the median of the rounds, `spread` the
middle half of them: where that contains one, nothing was seen but noise. `cpu_ratio` is the same of processor time,
which neighbours on the machine disturb less. What is added in processor time is seen best on a model that takes next to
none itself.
`--seconds` says how long each figure is measured, `--models FOLDER` takes other files than our own.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock

from benchmarks._saying import say
from broker.commands import Probe
from broker.messages import ActiveModel
from controller.models import untrained
from edge_agent.bench import measure
from edge_agent.boards import BOARDS
from edge_agent.modelstore import Held
from edge_agent.power.modelled import NominalMeter, modelled
from edge_agent.runtimes.onnx import OnnxRuntime
from edge_agent.serving import Server

BUDGET = 0.98
"""Least share of a bare loop's inferences per second."""

MOST_US = 10.0
"""Most processor time that serving adds to an inference."""

SHIPPED = Path("artifacts/models")
TURN_S = 0.01
"""How long the bare loop runs in its turn, and how long it waits for the next one."""

FEWEST_ROUNDS = 3
SERVED_S = 0.4
"""How long a round of serving lasts; one of probing is as long as the probe."""

FLAT_OUT = 1e9
"""Inferences per second that no machine reaches: one begins as the other ends."""


@dataclass(slots=True)
class Spent:
    """One way's inferences, and what they took on the wall and of the processor, s."""

    inferences: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0

    @property
    def rate(self) -> float:
        """Inferences per second."""
        return self.inferences / self.wall_s

    @property
    def cpu_us(self) -> float:
        """Processor time per inference."""
        return self.cpu_s / self.inferences * 1e6

    def add(self, inferences: int, began: tuple[float, float]) -> None:
        """Count `inferences` since `began`: (wall clock, processor time) of then."""
        self.inferences += inferences
        self.wall_s += time.perf_counter() - began[0]
        self.cpu_s += time.process_time() - began[1]


class Turns:
    """The meter of the agent's inferences, at whose begin bare onnxruntime has its turn when that is due."""

    def __init__(self, meter: NominalMeter, run: Callable[[], object]) -> None:
        """Take no turn yet; `run` is one bare inference."""
        self.sensor, self.end, self.trace = meter.sensor, meter.end, meter.trace
        self.bare = Spent()
        self._run, self._due_at = run, 0.0

    def begin(self) -> None:
        """Let the inference begin, after us when we are due."""
        if time.perf_counter() >= self._due_at:
            self._turn()

    def _turn(self) -> None:
        """Call onnxruntime, and nothing else."""
        began, done, run = now(), 0, self._run
        ends_at = began[0] + TURN_S
        while time.perf_counter() < ends_at:
            run()
            done += 1
        self.bare.add(done, began)
        self._due_at = time.perf_counter() + TURN_S


Way = Callable[[Turns], int]
"""Runs with this meter and returns how many inferences of its own ended."""


class Subject:
    """One model, and the two ways that the agent runs it."""

    def __init__(self, path: Path) -> None:
        """Load `path` as an agent does."""
        self.name = path.stem
        self._session = OnnxRuntime().load(path)
        inner, feed = self._session._engine._inner, self._session._feeds[0]  # noqa: SLF001 - the very same session
        self._run = lambda: inner.run(None, feed)

    def turns(self) -> Turns:
        """Return the meter of an agent that has no sensor but knows its board, with turns of the bare session."""
        return Turns(modelled(BOARDS["raspberry_pi_5"]), self._run)

    def probed(self, meter: Turns) -> int:
        """Measure as a deployment's probe does that asks for nothing else, and runs each golden sample at its end."""
        probe = Probe()
        measured = measure(self._session, meter, probe, stop=Event(), turn=Lock())
        return probe.warmup + measured.inferences + len(self._session.facts.samples)

    def served(self, meter: Turns) -> int:
        """Serve as the running model is served."""
        held = Held(model=ActiveModel(model=self.name, artifact_sha256="0" * 64, runtime="onnxruntime"))
        server = Server(meter, rate=FLAT_OUT, on_fault=print)
        server.swap(self._session, held)
        time.sleep(SERVED_S)
        server.close()
        return server.take().inferences


def main() -> None:
    """Print every figure."""
    asked = arguments()
    with tempfile.TemporaryDirectory() as folder:
        network = Path(folder) / "mobilenet_v1.onnx"
        network.write_bytes(untrained.build())
        for path in (network, asked.models / "digits_cnn_s.onnx"):
            shares(path, asked)
    added(asked.models / "digits_mlp.onnx", asked)


def shares(path: Path, asked: argparse.Namespace) -> None:
    """Say which share of a bare loop's rate is left by a probe, and by serving."""
    subject = Subject(path)
    for word, way in (("probe", subject.probed), ("serving", subject.served)):
        rounds = in_turns(subject, way, asked.seconds)
        ratios = [seen.rate / plain.rate for plain, seen in rounds]
        ratio = statistics.median(ratios)
        cpu_ratio = statistics.median(plain.cpu_us / seen.cpu_us for plain, seen in rounds)
        low, _, high = statistics.quantiles(ratios, n=4)
        say(
            f"agent, {word} of {subject.name}",
            statistics.median(seen.rate for _, seen in rounds),
            "inferences/s",
            reference=f"bare {statistics.median(plain.rate for plain, _ in rounds):.1f}/s",
            ratio=ratio,
            cpu_ratio=cpu_ratio,
            spread=f"{low:.3f}-{high:.3f}",
            budget=BUDGET,
            met=ratio >= BUDGET,
        )


def added(path: Path, asked: argparse.Namespace) -> None:
    """Say how much processor time serving adds to an inference."""
    subject = Subject(path)
    rounds = in_turns(subject, subject.served, asked.seconds)
    costs = [seen.cpu_us - plain.cpu_us for plain, seen in rounds]
    cost = statistics.median(costs)
    low, _, high = statistics.quantiles(costs, n=4)
    bare_us = statistics.median(plain.cpu_us for plain, _ in rounds)
    say(
        "agent, processor time added to an inference",
        cost,
        "us",
        reference=f"{subject.name} {bare_us:.1f} us",
        spread=f"{low:.1f}-{high:.1f}",
        budget=MOST_US,
        met=cost <= MOST_US,
    )


def in_turns(subject: Subject, way: Way, seconds: float) -> list[tuple[Spent, Spent]]:
    """Return by round what bare onnxruntime and `way` did in so many seconds; what warmed up before is not counted."""
    a_round(subject, way)
    rounds, ends_at = [], time.perf_counter() + seconds
    while len(rounds) < FEWEST_ROUNDS or time.perf_counter() < ends_at:
        rounds.append(a_round(subject, way))
    return rounds


def a_round(subject: Subject, way: Way) -> tuple[Spent, Spent]:
    """Return what bare onnxruntime did in its turns, and `way` in all the time between."""
    turns, whole, began = subject.turns(), Spent(), now()
    whole.add(way(turns), began)
    bare = turns.bare
    return bare, Spent(whole.inferences, whole.wall_s - bare.wall_s, whole.cpu_s - bare.cpu_s)


def now() -> tuple[float, float]:
    """Return wall clock and processor time, s."""
    return time.perf_counter(), time.process_time()


def arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--models", type=Path, default=SHIPPED)
    return parser.parse_args()


if __name__ == "__main__":
    main()
