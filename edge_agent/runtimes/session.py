"""What the agent needs from a runtime: prove it, load a model, run it, read its answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from broker.messages import RuntimeInfo
from edge_agent.runtimes.facts import ModelFacts


class Ran(NamedTuple):
    """One inference: its raw output and the wall time it took, s."""

    output: Any
    wall_s: float


@dataclass(frozen=True, slots=True)
class Rejected:
    """Something that was not chosen, with the reason and what would help."""

    what: str
    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """How a model was loaded: `rss_mb` is this process's memory then, `warmup_ms` its first inference."""

    provider: str
    threads: int
    load_ms: float
    rss_mb: float
    warmup_ms: float | None = None

    @property
    def result(self) -> dict[str, Any]:
        """The figures as part of a command's result; what is unknown is left out."""
        figures: dict[str, Any] = {"provider": self.provider, "threads": self.threads, "rss_mb": round(self.rss_mb, 1)}
        figures["load_ms"] = round(self.load_ms, 2)
        return figures if self.warmup_ms is None else {**figures, "warmup_ms": round(self.warmup_ms, 4)}


class Session(Protocol):
    """A loaded model; one thread at a time."""

    @property
    def facts(self) -> ModelFacts:
        """What the model file says about itself."""
        ...

    @property
    def loaded(self) -> Loaded:
        """How it was loaded, and how long the first inference took when there was one."""
        ...

    def run(self, sample: int) -> Ran:
        """Run the sample of that number (modulo how many there are); raises ArtifactError (`inference_failed`)."""
        ...

    def infer(self, values: Sequence[float]) -> Ran:
        """Run one input, given flat; raises InvalidError when it does not fit the model."""
        ...

    def best(self, output: Any) -> int:
        """Return the index of the strongest answer in `output`; what serving asks for after each inference."""
        ...

    def top(self, output: Any) -> tuple[int, float]:
        """Return the index and the probability of the strongest answer in `output`."""
        ...

    def strongest(self, output: Any, count: int) -> tuple[tuple[int, float], ...]:
        """Return the `count` strongest answers in `output`, the strongest first, as `top` returns the one."""
        ...

    def difference(self, sample: int, output: Any) -> float | None:
        """Return the largest difference from the sample's expected output; None when it expects nothing.

        It is relative to the largest expected value, or to 1 where all are smaller.
        """
        ...


class Runtime(Protocol):
    """A library that runs model files."""

    @property
    def name(self) -> str:
        """The name on the wire, such as `onnxruntime`."""
        ...

    @property
    def module(self) -> str:
        """The module that is imported when it is used."""
        ...

    @property
    def formats(self) -> tuple[str, ...]:
        """The file formats it reads."""
        ...

    def check(self) -> tuple[RuntimeInfo, tuple[Rejected, ...]]:
        """Return what really ran something, and what of it did not; raises RuntimeUnavailableError when nothing did."""
        ...

    def proved(self, info: RuntimeInfo) -> "Runtime":
        """Return this runtime as the check that gave `info` saw it run."""
        ...

    def load(self, path: Path) -> Session:
        """Load the model at `path`; raises ArtifactError (`load_failed`)."""
        ...
