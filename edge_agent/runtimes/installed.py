"""Lists the runtimes that this agent knows, the preferred one first."""

from edge_agent.runtimes.onnx import OnnxRuntime
from edge_agent.runtimes.session import Runtime


def installed(threads: int) -> tuple[Runtime, ...]:
    """Return every runtime for `threads` threads; whether one really runs here, `working` finds out."""
    return (OnnxRuntime(threads=threads),)
