"""Lists the runtimes that this agent knows, the preferred one first."""

import platform

from edge_agent.runtimes.onnx import OnnxRuntime
from edge_agent.runtimes.session import Runtime
from edge_agent.runtimes.tflite import TfliteRuntime

_WHEELS_OF_LITERT = frozenset({"x86_64", "aarch64"})


def installed(threads: int = 1, provider: str = "auto") -> tuple[Runtime, ...]:
    """Return every runtime, nothing of it imported yet; whether one really runs here, `working` finds out."""
    litert = "pip install 'edgewatt[litert]'"
    if platform.machine() not in _WHEELS_OF_LITERT:
        litert = f"there is no package of LiteRT for {platform.machine()}"
    return (
        OnnxRuntime(threads=threads, provider=provider),
        TfliteRuntime(name="litert", module="ai_edge_litert", threads=threads, hint=litert),
        TfliteRuntime(
            name="tflite-runtime",
            module="tflite_runtime",
            threads=threads,
            hint="pip install 'edgewatt[tflite]' in an environment of Python 3.11 or older",
        ),
    )
