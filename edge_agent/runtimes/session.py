"""What the agent needs from a runtime: load a model, run it, read its answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from edge_agent.runtimes.facts import ModelFacts


@dataclass(frozen=True, slots=True)
class Ran:
    """One inference: its raw output, the wall time it took and the processor time of the calling thread, s."""

    output: Any
    wall_s: float
    cpu_s: float


class Session(Protocol):
    """A loaded model; one thread at a time."""

    @property
    def facts(self) -> ModelFacts:
        """What the model file says about itself."""
        ...

    def run(self, sample: int) -> Ran:
        """Run the sample of that number (modulo how many there are); raises ArtifactError (`inference_failed`)."""
        ...

    def infer(self, values: Sequence[float]) -> Ran:
        """Run one input, given flat; raises InvalidError when it does not fit the model."""
        ...

    def top(self, output: Any) -> tuple[int, float]:
        """Return the index and the probability of the strongest answer in `output`."""
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
    def formats(self) -> tuple[str, ...]:
        """The file formats it reads."""
        ...

    def check(self) -> str:
        """Return its version after it really ran something; raises RuntimeUnavailableError."""
        ...

    def load(self, path: Path) -> Session:
        """Load the model at `path`; raises ArtifactError (`load_failed`)."""
        ...
