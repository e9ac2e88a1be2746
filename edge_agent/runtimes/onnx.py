"""Runs ONNX models with onnxruntime, which is imported on first use."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from broker.errors import ArtifactError, RuntimeUnavailableError
from broker.messages import RuntimeInfo
from edge_agent import vitals
from edge_agent.runtimes.checked import first_line, said_by_running
from edge_agent.runtimes.facts import read_facts
from edge_agent.runtimes.model_session import ModelSession, Port, fixed
from edge_agent.runtimes.session import Loaded, Rejected

FATAL_ONLY = 4
"""onnxruntime's log level for fatal errors: ours reach the user as exceptions, its warnings are noise on stderr."""

CHECK = "edge_agent.runtimes.onnx_check"

PROVIDERS = {"tensorrt": "TensorrtExecutionProvider", "cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}
"""Our words for onnxruntime's execution providers."""

AUTOMATIC = ("cuda", "cpu")
"""What is used unasked, best first; TensorRT builds an engine for minutes at each load, so it has to be asked for."""

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxRuntime:
    """onnxruntime with `threads` threads; one costs least energy per inference on small boards.

    `provider` is the one asked for, or `auto`; `providers` are those that ran here, the preferred one first.
    """

    threads: int = 1
    provider: str = "auto"
    providers: tuple[str, ...] = ("cpu",)
    name: str = "onnxruntime"
    module: str = "onnxruntime"
    formats: tuple[str, ...] = ("onnx",)

    def check(self) -> tuple[RuntimeInfo, tuple[Rejected, ...]]:
        """Run a small model on the processor, then on each wanted provider, each time in a process of its own."""
        try:
            found = json.loads(said_by_running(self.name, CHECK))
        except RuntimeUnavailableError as error:
            raise RuntimeUnavailableError(error.message, hint="pip install 'edgewatt[onnx]'") from error
        ran, rejected = [], []
        for word in AUTOMATIC if self.provider == "auto" else (self.provider, "cpu"):
            try:
                self._check_provider(word, found["providers"])
            except RuntimeUnavailableError as error:
                if self.provider != "auto" or PROVIDERS[word] in found["providers"]:
                    rejected.append(Rejected(f"{self.name} on {word}", error.message, error.hint))
            else:
                ran.append(word)
        info = RuntimeInfo(
            name=self.name,
            version=found["version"],
            formats=self.formats,
            opset_max=found["opset_max"],
            ir_max=found["ir_max"],
            providers=tuple(dict.fromkeys(ran)),
            threads=self.threads,
        )
        return info, tuple(rejected)

    def proved(self, info: RuntimeInfo) -> "OnnxRuntime":
        """Return this runtime on the providers that ran."""
        return replace(self, providers=info.providers or ("cpu",))

    def load(self, path: Path) -> ModelSession:
        """Load `path`; raises ArtifactError (`load_failed`) for anything that is no runnable ONNX model."""
        import onnxruntime  # noqa: PLC0415 - 50 MB that an idle agent does not hold

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = FATAL_ONLY
        began = time.perf_counter()
        try:
            inner = onnxruntime.InferenceSession(str(path), options, providers=[PROVIDERS[w] for w in self.providers])
        except Exception as error:
            # onnxruntime raises a dozen unrelated classes for a file it does not like
            raise ArtifactError(
                f"onnxruntime cannot load the model: {first_line(error)}",
                code="load_failed",
                hint="is the file whole, and an ONNX model?",
            ) from error
        took_ms = (time.perf_counter() - began) * 1_000
        engine = OnnxEngine(inner)
        loaded = Loaded(provider=engine.provider, threads=self.threads, load_ms=took_ms, rss_mb=vitals.own_rss_mb())
        return ModelSession(engine, read_facts(inner.get_modelmeta().custom_metadata_map), loaded)

    def _check_provider(self, word: str, offered: list[str]) -> None:
        if word == "cpu":
            return
        if PROVIDERS[word] not in offered:
            raise RuntimeUnavailableError(
                f"this build of onnxruntime has no {word}", hint="install a build of onnxruntime for this accelerator"
            )
        said_by_running(f"onnxruntime on {word}", CHECK, PROVIDERS[word])


class OnnxEngine:
    """A model in an onnxruntime session."""

    def __init__(self, inner: Any) -> None:
        """Read the inputs; raises ArtifactError (`load_failed`) for a type that nobody can feed."""
        self._inner = inner
        self.inputs = tuple(_port(node) for node in inner.get_inputs())
        self._wanted = [node.name for node in inner.get_outputs()[:1]]
        words = {name: word for word, name in PROVIDERS.items()}
        self.provider = words.get(inner.get_providers()[0], "cpu")

    def run(self, feed: Mapping[Any, Any]) -> Any:
        """Return the first output."""
        return self._inner.run(self._wanted, feed)[0]


def _port(node: Any) -> Port:
    if node.type not in _DTYPES:
        raise ArtifactError(f"the model's input {node.name} is a {node.type}", code="load_failed")
    return Port(key=node.name, name=node.name, shape=fixed(node.shape), dtype=_DTYPES[node.type])
