"""Runs TFLite models with LiteRT or with tflite-runtime, whichever the device has; imported on first use."""

import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from broker.errors import ArtifactError, RuntimeUnavailableError
from broker.messages import RuntimeInfo
from broker.metadata import read_appended
from edge_agent import vitals
from edge_agent.runtimes.checked import apart, first_line, last_line, said_by_running
from edge_agent.runtimes.facts import read_facts
from edge_agent.runtimes.model_session import ModelSession, Port, fixed
from edge_agent.runtimes.session import Loaded, Rejected

CHECK = "edge_agent.runtimes.tflite_check"
TRIAL = "edge_agent.runtimes.tflite_trial"
TRIAL_TIMEOUT_S = 120.0
"""The slowest board loads a runtime and runs a large model once in less."""

REFUSED = 3
"""Exit code of a trial that says on stdout, as JSON, why the file is not run."""

MAGIC = b"TFL3"
"""What follows the first four bytes of every TFLite file."""

PER_CHANNEL_WHEN_DYNAMIC = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"})
"""What tflite-runtime 2.14 computes right with float inputs and int8 weights of several scales.

Its FULLY_CONNECTED reads only the first scale, and answers zeros or nonsense (tried on both packages).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TfliteRuntime:
    """A package with a TFLite interpreter, on the processor with `threads` threads."""

    name: str
    module: str
    threads: int = 1
    hint: str = ""
    formats: tuple[str, ...] = ("tflite",)

    def check(self) -> tuple[RuntimeInfo, tuple[Rejected, ...]]:
        """Run a small model in a process of its own; raises RuntimeUnavailableError."""
        try:
            version = said_by_running(self.name, CHECK, self.module)
        except RuntimeUnavailableError as error:
            hint = "pip install 'numpy<2'" if "NumPy 1" in error.message else self.hint
            raise RuntimeUnavailableError(error.message, hint=hint) from error
        info = RuntimeInfo(
            name=self.name, version=version, formats=self.formats, providers=("cpu",), threads=self.threads
        )
        return info, ()

    def proved(self, info: RuntimeInfo) -> "TfliteRuntime":
        """Return this runtime; there is nothing to choose."""
        return replace(self, name=info.name)

    def load(self, path: Path) -> ModelSession:
        """Load `path`; raises ArtifactError (`load_failed`) for anything that is no runnable TFLite model."""
        facts = read_facts(read_appended(path))
        self._try(path)
        began = time.perf_counter()
        engine = self.opened(path)
        took_ms = (time.perf_counter() - began) * 1_000
        loaded = Loaded(provider="cpu", threads=self.threads, load_ms=took_ms, rss_mb=vitals.own_rss_mb())
        return ModelSession(engine, facts, loaded)

    def opened(self, path: Path) -> "TfliteEngine":
        """Return the model at `path` in an interpreter; raises ArtifactError (`load_failed`), or dies of the file."""
        package = import_module(f"{self.module}.interpreter")
        try:
            interpreter = package.Interpreter(model_path=str(path), num_threads=self.threads)
            if self.module == "tflite_runtime":
                refuse_silent_errors(interpreter)
            return TfliteEngine(interpreter)
        except (ValueError, RuntimeError, TypeError, IndexError, MemoryError) as error:
            raise self._failed(first_line(error)) from error

    def _try(self, path: Path) -> None:
        """Load and run the file in a process of its own first: a damaged one kills the process that reads it."""
        with path.open("rb") as file:
            if file.read(8)[4:] != MAGIC:
                raise self._failed("it does not begin as a TFLite model")
        try:
            done = apart(TRIAL, self.name, self.module, str(path), str(self.threads), timeout_s=TRIAL_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise self._failed(f"it did not run within {TRIAL_TIMEOUT_S:.0f} s") from None
        except OSError as error:
            raise self._failed(str(error)) from error
        if done.returncode == REFUSED:
            raise ArtifactError(**json.loads(done.stdout))
        if done.returncode:
            died = f"the runtime dies of it (signal {-done.returncode})" if done.returncode < 0 else ""
            raise self._failed(died or last_line(done.stderr))

    def _failed(self, said: str) -> ArtifactError:
        hint = "is the file whole, and a TFLite model?"
        return ArtifactError(f"{self.name} cannot load the model: {said[:200]}", code="load_failed", hint=hint)


class TfliteEngine:
    """A model in a TFLite interpreter."""

    def __init__(self, interpreter: Any) -> None:
        """Fix free dimensions to one and take the memory; raises what the library raises."""
        import numpy as np  # noqa: PLC0415 - loaded together with the runtime

        for details in interpreter.get_input_details():
            shape = fixed(details["shape"])
            if shape != tuple(details["shape"]):
                interpreter.resize_tensor_input(details["index"], shape)
        interpreter.allocate_tensors()
        self._interpreter = interpreter
        self.inputs = tuple(_port(details, np) for details in interpreter.get_input_details())
        self._output = _port(interpreter.get_output_details()[0], np)

    def run(self, feed: Mapping[Any, Any]) -> Any:
        """Return the first output; a quantised one as real values."""
        interpreter = self._interpreter
        for key, array in feed.items():
            interpreter.set_tensor(key, array)
        interpreter.invoke()
        output, port = interpreter.get_tensor(self._output.key), self._output
        return output if port.scale is None else (output.astype("float32") - port.zero_point) * port.scale


def refuse_silent_errors(interpreter: Any) -> None:
    """Raise ArtifactError (`load_failed`) for dynamically quantised operators that tflite-runtime computes wrongly."""
    tensors = {details["index"]: details for details in interpreter.get_tensor_details()}
    for op in interpreter._get_ops_details():  # noqa: SLF001 - the package has no other way to its operators
        found = [tensors[index] for index in op["inputs"][:2] if index in tensors]
        if len(found) < 2 or op["op_name"] in PER_CHANNEL_WHEN_DYNAMIC:  # noqa: PLR2004 - an input and its weights
            continue
        kinds = [str(details["dtype"].__name__) for details in found]
        scales = found[1]["quantization_parameters"]["scales"]
        if kinds[0].startswith("float") and kinds[1].startswith("int") and len(scales) > 1:
            raise ArtifactError(
                f"tflite-runtime computes this model's {op['op_name']} wrongly without a word: it is quantised "
                "dynamically, with a scale per channel",
                code="load_failed",
                hint="deploy the float or the statically quantised variant, or install LiteRT",
            )


def _port(details: Mapping[str, Any], np: Any) -> Port:
    scales, zeros = (details["quantization_parameters"][key] for key in ("scales", "zero_points"))
    kind = np.dtype(details["dtype"])
    if kind.kind not in "fiub":
        raise ArtifactError(f"the model's {details['name']} is a {kind.name}", code="load_failed")
    quantised = kind.kind in "iu" and len(scales) == 1
    return Port(
        key=int(details["index"]),
        name=str(details["name"]),
        shape=tuple(int(n) for n in details["shape"]),
        dtype=kind.name,
        scale=float(scales[0]) if quantised else None,
        zero_point=int(zeros[0]) if quantised and len(zeros) else 0,
    )
