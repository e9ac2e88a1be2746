"""Stands in for a runtime on a simulated device: a model's facts are read, its inferences are only timed."""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.errors import ArtifactError, InvalidError
from broker.messages import RuntimeInfo
from edge_agent.runtimes.facts import ModelFacts, Sample, read_facts
from edge_agent.runtimes.session import Loaded, Ran, Rejected
from edge_agent.simulation.body import Body
from edge_agent.simulation.onnx_texts import read_texts

RUNTIME_MB = 45.0
"""What a process with onnxruntime holds before a model is loaded."""

MOST_READ = 256

LOAD_S_PER_MB = 0.004
"""How long the reference core needs to load a model, per MB of its file."""


class Output(tuple[float, ...]):
    """A flat output, as far as the agent looks at one."""

    __slots__ = ()

    def reshape(self, _shape: int) -> "Output":
        """Return itself: it is flat already."""
        return self


@dataclass(slots=True, kw_only=True)
class SimulatedModel:
    """A loaded model whose answers are the expected ones of its samples, and whose time is the board's."""

    facts: ModelFacts
    size_bytes: int
    body: Body
    loaded: Loaded

    def run(self, sample: int) -> Ran:
        """Answer the sample of that number as the model's author expects it."""
        return self._ran(self._sample(sample))

    def infer(self, values: Sequence[float]) -> Ran:
        """Answer one input of the right size, as the first sample; raises InvalidError for another size."""
        sample = self._sample(0)
        if sample is not None and len(values) != math.prod(sample.shape):
            raise InvalidError(
                f"the input does not fit: {len(values)} numbers",
                code="bad_input",
                hint=f"send {math.prod(sample.shape)} numbers",
            )
        return self._ran(sample)

    def best(self, output: Any) -> int:
        """Return the index of the strongest answer."""
        return max(range(len(output)), key=output.__getitem__)

    def top(self, output: Any) -> tuple[int, float]:
        """Return the index and the probability of the strongest answer."""
        return self.strongest(output, 1)[0]

    def strongest(self, output: Any, count: int) -> tuple[tuple[int, float], ...]:
        """Return the strongest answers in `output`, the strongest first."""
        best = heapq.nlargest(count, range(len(output)), key=output.__getitem__)
        if min(output) >= 0 and abs(sum(output) - 1) < 0.01:  # noqa: PLR2004 - already probabilities
            return tuple((index, output[index]) for index in best)
        most = output[best[0]]
        total = sum(math.exp(value - most) for value in output)
        return tuple((index, math.exp(output[index] - most) / total) for index in best)

    def difference(self, sample: int, output: Any) -> float | None:
        """Return 0 where something is expected: nothing was computed that could differ."""
        chosen = self._sample(sample)
        return 0.0 if output and chosen is not None and chosen.expect else None

    def _sample(self, number: int) -> Sample | None:
        samples = self.facts.samples
        return samples[number % len(samples)] if samples else None

    def _ran(self, sample: Sample | None) -> Ran:
        took_s = self.body.latency_s(self.facts, self.size_bytes)
        return Ran(Output(sample.expect if sample and sample.expect else (1.0,)), took_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedRuntime:
    """Loads models onto `body`."""

    body: Body
    name: str = "onnxruntime"
    module: str = "edge_agent"
    formats: tuple[str, ...] = ("onnx",)

    @property
    def info(self) -> RuntimeInfo:
        """What the device tells the fleet."""
        return RuntimeInfo(
            name=self.name,
            version="simulated",
            formats=self.formats,
            opset_max=21,
            ir_max=10,
            providers=("cpu",),
            threads=1,
        )

    def check(self) -> tuple[RuntimeInfo, tuple[Rejected, ...]]:
        """Return that it works."""
        return self.info, ()

    def proved(self, _info: RuntimeInfo) -> "SimulatedRuntime":
        """Return itself."""
        return self

    def load(self, path: Path) -> SimulatedModel:
        """Read what the model says of itself; raises ArtifactError (`load_failed`)."""
        size_bytes = _size(path)
        loaded = Loaded(
            provider="cpu",
            threads=1,
            load_ms=size_bytes / 1e6 * LOAD_S_PER_MB * self.body.board.slowdown * 1_000,
            rss_mb=RUNTIME_MB + 2 * size_bytes / 1e6,
        )
        return SimulatedModel(facts=_facts(path), size_bytes=size_bytes, body=self.body, loaded=loaded)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise ArtifactError(f"the model cannot be read: {error.strerror}", code="load_failed") from error


def _facts(path: Path) -> ModelFacts:
    """Return the facts of a model; those of one content are read once for the whole fleet."""
    sha256 = path.parent.name
    if sha256 not in _READ:
        if len(_READ) >= MOST_READ:
            _READ.clear()
        _READ[sha256] = read_facts(read_texts(path))
    return _READ[sha256]


_READ: dict[str, ModelFacts] = {}
