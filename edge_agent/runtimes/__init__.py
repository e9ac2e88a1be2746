"""Chooses what runs a model on this device, and says why the others do not."""

from collections.abc import Sequence
from dataclasses import dataclass

from broker.errors import RuntimeUnavailableError
from broker.messages import RuntimeInfo
from edge_agent.runtimes.session import Rejected, Runtime

__all__ = ["Rejected", "Working", "choose", "working"]

_EXTRA = {"onnx": "edgewatt[onnx]", "tflite": "edgewatt[litert]"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """A runtime that ran here, and what the device tells the fleet about it."""

    runtime: Runtime
    info: RuntimeInfo


def working(runtimes: Sequence[Runtime]) -> tuple[tuple[Working, ...], tuple[Rejected, ...]]:
    """Return which of `runtimes` really run here; takes a second per runtime."""
    found: list[Working] = []
    rejected: list[Rejected] = []
    for runtime in runtimes:
        try:
            info, partly = runtime.check()
        except RuntimeUnavailableError as error:
            rejected.append(Rejected(runtime.name, error.message, error.hint))
        else:
            found.append(Working(runtime=runtime.proved(info), info=info))
            rejected += partly
    return tuple(found), tuple(rejected)


def choose(
    form: str, runtimes: Sequence[Runtime], *, wanted: str | None = None, rejected: Sequence[Rejected] = ()
) -> tuple[Runtime, tuple[Rejected, ...]]:
    """Return the first of `runtimes` that reads `form`, and the rejected ones before it with those `rejected` already.

    Raises RuntimeUnavailableError that names every reason.
    """
    passed = list(rejected)
    for runtime in runtimes:
        if form not in runtime.formats:
            passed.append(Rejected(runtime.name, f"reads {', '.join(runtime.formats)}, not {form}"))
        elif wanted not in (None, runtime.name):
            passed.append(Rejected(runtime.name, f"{wanted} was asked for"))
        else:
            return runtime, tuple(passed)
    reasons = "; ".join(f"{r.what}: {r.reason}" for r in passed) or "no runtime is installed"
    hint = f"pip install '{_EXTRA[form]}' on the device" if form in _EXTRA else "see `edgewatt-agent check`"
    raise RuntimeUnavailableError(f"nothing here runs a .{form} model: {reasons}", hint=hint)
