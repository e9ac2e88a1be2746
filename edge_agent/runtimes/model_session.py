"""A loaded model as the agent uses it, over any engine: feeds its samples, times each run, judges its answers."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Protocol

from broker.errors import ArtifactError, InvalidError
from edge_agent.runtimes.facts import ModelFacts, Sample
from edge_agent.runtimes.session import Loaded, Ran

_INPUT_SEED = 20_260_101


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """An input of a model; a `scale` makes it a quantised one: real value = (stored - zero_point) x scale."""

    key: str | int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero_point: int = 0

    @property
    def count(self) -> int:
        """How many numbers it takes."""
        return prod(self.shape)


class Engine(Protocol):
    """One model in one library."""

    @property
    def inputs(self) -> tuple[Port, ...]:
        """What it takes; the first input is the one that samples go to."""
        ...

    def run(self, feed: Mapping[Any, Any]) -> Any:
        """Return the first output for `feed` (arrays by the keys of the ports); raises what the library raises."""
        ...


class ModelSession:
    """A loaded model and the inputs it is fed with."""

    def __init__(self, engine: Engine, facts: ModelFacts, loaded: Loaded) -> None:
        """Prepare the feeds; raises ArtifactError (`load_failed`) when the model's samples do not fit it."""
        import numpy as np  # noqa: PLC0415 - loaded together with the runtime

        self._np = np
        self._engine = engine
        self._loaded = loaded
        self._first_s: float | None = None
        if not engine.inputs:
            raise ArtifactError("the model takes no input", code="load_failed")
        self.facts = replace(facts, shape=engine.inputs[0].shape)
        self._first = engine.inputs[0]
        self._rest = {port.key: self._invented(port) for port in engine.inputs[1:]}
        self._feeds = [self._feed(sample) for sample in facts.samples] or [
            {self._first.key: self._invented(self._first), **self._rest}
        ]
        self._expected = [np.asarray(sample.expect) for sample in facts.samples]

    @property
    def loaded(self) -> Loaded:
        """How the model was loaded."""
        return self._loaded if self._first_s is None else replace(self._loaded, warmup_ms=self._first_s * 1_000)

    def run(self, sample: int) -> Ran:
        """Run the sample of that number (modulo how many there are)."""
        return self._timed(self._feeds[sample % len(self._feeds)])

    def infer(self, values: Sequence[float]) -> Ran:
        """Run one input, given flat; raises InvalidError when it does not fit the model."""
        try:
            array = self._np.asarray(values, dtype="float64").reshape(self._first.shape)
        except (ValueError, TypeError) as error:
            raise InvalidError(
                f"the input does not fit: {error}", code="bad_input", hint=f"send {self._first.count} numbers"
            ) from error
        return self._timed({self._first.key: self._stored(self._first, array), **self._rest})

    def best(self, output: Any) -> int:
        """Return the index of the strongest answer in `output`."""
        return int(output.argmax())

    def top(self, output: Any) -> tuple[int, float]:
        """Return the index and the probability of the strongest answer in `output`."""
        return self.strongest(output, 1)[0]

    def strongest(self, output: Any, count: int) -> tuple[tuple[int, float], ...]:
        """Return the `count` strongest answers in `output`, the strongest first, as `top` returns the one."""
        flat = output.reshape(-1)
        best = flat.argsort()[::-1][:count] if count > 1 else [flat.argmax()]
        if flat.min() < 0 or abs(float(flat.sum()) - 1) >= 0.01:  # noqa: PLR2004 - no probabilities yet
            powers = self._np.exp(flat - flat.max())
            flat = powers / powers.sum()
        return tuple((int(index), float(flat[index])) for index in best)

    def difference(self, sample: int, output: Any) -> float | None:
        """Return the largest difference from the sample's expected output, relative; None when it expects nothing."""
        golden = self._expected[sample % len(self._expected)] if self._expected else None
        if golden is None or not golden.size:
            return None
        flat = output.reshape(-1)
        if flat.size != golden.size:
            return float("inf")
        return float(abs(flat - golden).max() / max(abs(golden).max(), 1.0))

    def _timed(self, feed: dict[Any, Any]) -> Ran:
        began = time.perf_counter()
        try:
            output = self._engine.run(feed)
        except Exception as error:
            # runtimes raise a dozen unrelated classes for a model that they cannot run
            raise ArtifactError(f"the model fails on its input: {str(error)[:200]}", code="inference_failed") from error
        ran = Ran(output, time.perf_counter() - began)
        if self._first_s is None:
            self._first_s = ran.wall_s
        return ran

    def _feed(self, sample: Sample) -> dict[Any, Any]:
        shape = self._first.shape
        if len(sample.data) != self._first.count:
            said = f"sample {sample.name} has {len(sample.data)} values, the model takes {self._first.count}"
            raise ArtifactError(said, code="load_failed")
        if len(sample.shape) == len(shape) and sample.shape != shape:
            said = f"sample {sample.name} has the shape {list(sample.shape)}, the model takes {list(shape)}"
            raise ArtifactError(said, code="load_failed")
        raw = self._np.frombuffer(sample.data, dtype="uint8").astype("float32").reshape(shape)
        real = raw * self._np.float32(sample.scale) + self._np.float32(sample.offset)
        return {self._first.key: self._stored(self._first, real), **self._rest}

    def _invented(self, port: Port) -> Any:
        """Return seeded random values, for a model that carries no sample."""
        return self._stored(port, self._np.random.default_rng(_INPUT_SEED).random(port.shape))

    def _stored(self, port: Port, real: Any) -> Any:
        """Return the real values as `port` stores them."""
        if port.scale is None:
            return real.astype(port.dtype)
        limits = self._np.iinfo(port.dtype)
        stored = self._np.round(real / port.scale) + port.zero_point
        return self._np.clip(stored, limits.min, limits.max).astype(port.dtype)


def fixed(shape: Sequence[Any]) -> tuple[int, ...]:
    """Return `shape` with every free dimension set to one."""
    return tuple(int(n) if not isinstance(n, str) and n is not None and n > 0 else 1 for n in shape)
