"""What the agent costs an inference: one session bare, by a probe and as it is served, in turns (bare, X, X, bare).

The ratio is the median of the rounds, `spread` the middle half of them: where that contains one, nothing was seen
but noise. `cpu_ratio` is the same of processor time, which neighbours on the machine disturb less. What is added in
processor time is seen best on a model that takes next to none itself.
`--rounds` and `--leg-s` make it longer, `--models FOLDER` takes other files than our own.
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
from edge_agent.power.modelled import modelled
from edge_agent.runtimes.onnx import OnnxRuntime
from edge_agent.serving import Server

BUDGET = 0.98
"""Least share of a bare loop's inferences per second."""

MOST_US = 10.0
"""Most processor time that serving adds to an inference."""

SHIPPED = Path("artifacts/models")
AT_ONCE_S = 0.005
"""How long the bare loop runs between two looks at the clock."""

FLAT_OUT = 1e9
"""Inferences per second that no machine reaches: one begins as the other ends."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One way's turn: inferences, and what they took on the wall and of the processor, s."""

    inferences: int
    wall_s: float
    cpu_s: float

    @property
    def rate(self) -> float:
        """Inferences per second."""
        return self.inferences / self.wall_s

    @property
    def cpu_us(self) -> float:
        """Processor time per inference."""
        return self.cpu_s / self.inferences * 1e6


Way = Callable[[float], int]
"""Runs for about so many seconds and returns how many inferences ended."""


class Subject:
    """One model, and the three ways to run it."""

    def __init__(self, path: Path) -> None:
        """Load `path` as an agent does that has no sensor but knows its board."""
        self.name = path.stem
        self._meter = modelled(BOARDS["raspberry_pi_5"])
        self._session = OnnxRuntime().load(path)
        inner, feed = self._session._engine._inner, self._session._feeds[0]  # noqa: SLF001 - the very same session
        self._run = lambda: inner.run(None, feed)
        self._run()
        began = time.perf_counter()
        self._run()
        self._at_once = max(1, round(AT_ONCE_S / (time.perf_counter() - began)))
        self._server = Server(self._meter, rate=FLAT_OUT, on_fault=print)
        self._server.want(running=False)
        held = Held(model=ActiveModel(model=self.name, artifact_sha256="0" * 64, runtime="onnxruntime"))
        self._server.swap(self._session, held)

    def bare(self, seconds: float) -> int:
        """Call onnxruntime, and nothing else."""
        done, run, ends_at = 0, self._run, time.perf_counter() + seconds
        while time.perf_counter() < ends_at:
            for _ in range(self._at_once):
                run()
            done += self._at_once
        return done

    def probed(self, seconds: float) -> int:
        """Measure as a deployment's probe does, which runs each golden sample once at its end."""
        probe = Probe(warmup=0, inferences=1, min_s=seconds)
        done = measure(self._session, self._meter, probe, stop=Event(), turn=Lock()).inferences
        return done + len(self._session.facts.samples)

    def served(self, seconds: float) -> int:
        """Serve as the running model is served."""
        self._server.want(running=True)
        time.sleep(seconds)
        self._server.want(running=False)
        return self._server.take().inferences

    def close(self) -> None:
        """End the serving thread."""
        self._server.close()


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
        rounds = in_turns(subject.bare, way, asked)
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
    subject.close()


def added(path: Path, asked: argparse.Namespace) -> None:
    """Say how much processor time serving adds to an inference."""
    subject = Subject(path)
    rounds = in_turns(subject.bare, subject.served, asked)
    subject.close()
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


def in_turns(bare: Way, other: Way, asked: argparse.Namespace) -> list[tuple[Leg, Leg]]:
    """Return by round what `bare` and `other` did; the order of a round makes a drift cost both the same."""
    for way in (bare, other):
        leg(way, asked.leg_s)
    rounds = []
    for _ in range(asked.rounds):
        a, b, c, d = (leg(way, asked.leg_s) for way in (bare, other, other, bare))
        rounds.append((both(a, d), both(b, c)))
    return rounds


def leg(way: Way, seconds: float) -> Leg:
    """Give `way` its turn."""
    wall, cpu = time.perf_counter(), time.process_time()
    done = way(seconds)
    return Leg(done, time.perf_counter() - wall, time.process_time() - cpu)


def both(one: Leg, other: Leg) -> Leg:
    """Return two turns of the same way as one."""
    return Leg(one.inferences + other.inferences, one.wall_s + other.wall_s, one.cpu_s + other.cpu_s)


def arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--leg-s", type=float, default=0.2)
    parser.add_argument("--models", type=Path, default=SHIPPED)
    return parser.parse_args()


if __name__ == "__main__":
    main()
