"""Runs ONNX models with onnxruntime, which is imported on first use."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.errors import ArtifactError, InvalidError
from edge_agent.runtimes.checked import version_by_running
from edge_agent.runtimes.facts import ModelFacts, Sample, read_facts
from edge_agent.runtimes.session import Ran

FATAL_ONLY = 4
"""onnxruntime's log level for fatal errors: ours reach the user as exceptions, its warnings are noise on stderr."""

_INPUT_SEED = 20_260_101

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxRuntime:
    """onnxruntime on the CPU with `threads` threads; one thread costs least energy per inference on small boards."""

    threads: int = 1
    name: str = "onnxruntime"
    formats: tuple[str, ...] = ("onnx",)

    def check(self) -> str:
        """Return the version after a small model ran in a process of its own; raises RuntimeUnavailableError."""
        return version_by_running("onnxruntime", "edge_agent.runtimes.onnx_check")

    def load(self, path: Path) -> "OnnxSession":
        """Load `path`; raises ArtifactError (`load_failed`) for anything that is no runnable ONNX model."""
        import onnxruntime  # noqa: PLC0415 - 50 MB that an idle agent does not hold

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = FATAL_ONLY
        try:
            loaded = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            # onnxruntime raises a dozen unrelated classes for a file it does not like
            said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            raise ArtifactError(
                f"onnxruntime cannot load the model: {said}",
                code="load_failed",
                hint="is the file whole, and an ONNX model?",
            ) from error
        return OnnxSession(loaded)


class OnnxSession:
    """A loaded ONNX model and the inputs it is fed with."""

    def __init__(self, loaded: Any) -> None:
        """Prepare the feeds of `loaded`; raises ArtifactError (`load_failed`) when its samples do not fit."""
        import numpy as np  # noqa: PLC0415 - loaded together with the runtime

        self._np = np
        self._loaded = loaded
        self.facts: ModelFacts = read_facts(loaded.get_modelmeta().custom_metadata_map)
        self._inputs = loaded.get_inputs()
        self._first = self._inputs[0]
        self._rest = {node.name: self._invented(node) for node in self._inputs[1:]}
        self._feeds = [self._feed(sample) for sample in self.facts.samples] or [
            {self._first.name: self._invented(self._first), **self._rest}
        ]

    def run(self, sample: int) -> Ran:
        """Run the sample of that number (modulo how many there are)."""
        return self._timed(self._feeds[sample % len(self._feeds)])

    def infer(self, values: Sequence[float]) -> Ran:
        """Run one input, given flat; raises InvalidError when it does not fit the model."""
        shape = _fixed(self._first.shape)
        try:
            array = self._np.asarray(values, dtype=self._dtype(self._first)).reshape(shape)
        except (ValueError, TypeError) as error:
            raise InvalidError(
                f"the input does not fit: {error}", code="bad_input", hint=f"send {_count(shape)} numbers"
            ) from error
        return self._timed({self._first.name: array, **self._rest})

    def top(self, output: Any) -> tuple[int, float]:
        """Return the index and the probability of the strongest answer in `output`."""
        flat = output.reshape(-1)
        index = int(flat.argmax())
        if flat.min() >= 0 and abs(float(flat.sum()) - 1) < 0.01:  # noqa: PLR2004 - already probabilities
            return index, float(flat[index])
        return index, float(1.0 / self._np.exp(flat - flat[index]).sum())

    def difference(self, sample: int, output: Any) -> float | None:
        """Return the largest difference from the sample's expected output, relative; None when it expects nothing."""
        samples = self.facts.samples
        expect = samples[sample % len(samples)].expect if samples else ()
        if not expect:
            return None
        flat, golden = output.reshape(-1), self._np.asarray(expect)
        if flat.size != golden.size:
            return float("inf")
        return float(self._np.abs(flat - golden).max() / max(self._np.abs(golden).max(), 1.0))

    def _timed(self, feed: dict[str, Any]) -> Ran:
        cpu, wall = time.thread_time(), time.perf_counter()
        try:
            outputs = self._loaded.run(None, feed)
        except Exception as error:
            # the same dozen unrelated classes as in `load`
            raise ArtifactError(f"the model fails on its input: {str(error)[:200]}", code="inference_failed") from error
        return Ran(outputs[0], time.perf_counter() - wall, time.thread_time() - cpu)

    def _feed(self, sample: Sample) -> dict[str, Any]:
        shape = _fixed(self._first.shape)
        if _count(shape) != len(sample.data):
            raise ArtifactError(
                f"sample {sample.name} has {len(sample.data)} values, the model takes {_count(shape)}",
                code="load_failed",
            )
        raw = self._np.frombuffer(sample.data, dtype="uint8").astype("float32").reshape(shape)
        array = (raw * self._np.float32(sample.scale) + self._np.float32(sample.offset)).astype(
            self._dtype(self._first)
        )
        return {self._first.name: array, **self._rest}

    def _invented(self, node: Any) -> Any:
        """Return seeded random values, for a model that carries no sample."""
        return self._np.random.default_rng(_INPUT_SEED).random(_fixed(node.shape)).astype(self._dtype(node))

    def _dtype(self, node: Any) -> str:
        if node.type not in _DTYPES:
            raise ArtifactError(f"the model's input {node.name} is a {node.type}", code="load_failed")
        return _DTYPES[node.type]


def _fixed(shape: Sequence[Any]) -> tuple[int, ...]:
    """Return `shape` with every free dimension set to one."""
    return tuple(n if isinstance(n, int) and n > 0 else 1 for n in shape)


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for n in shape:
        count *= n
    return count
