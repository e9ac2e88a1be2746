"""Chooses what runs a model on this device, and says why the others do not."""

from collections.abc import Sequence
from dataclasses import dataclass

from broker.errors import RuntimeUnavailableError
from broker.messages import RuntimeInfo
from edge_agent.runtimes.session import Runtime


@dataclass(frozen=True, slots=True)
class Rejected:
    """Something that was not chosen, with the reason."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """A runtime that ran here."""

    runtime: Runtime
    version: str

    @property
    def info(self) -> RuntimeInfo:
        """What the device tells the fleet about it."""
        return RuntimeInfo(name=self.runtime.name, version=self.version, formats=self.runtime.formats)


def working(runtimes: Sequence[Runtime]) -> tuple[tuple[Working, ...], tuple[Rejected, ...]]:
    """Return which of `runtimes` really run here; takes a second per runtime."""
    found: list[Working] = []
    rejected: list[Rejected] = []
    for runtime in runtimes:
        try:
            found.append(Working(runtime=runtime, version=runtime.check()))
        except RuntimeUnavailableError as error:
            rejected.append(Rejected(runtime.name, error.message))
    return tuple(found), tuple(rejected)


def choose(
    form: str, runtimes: Sequence[Runtime], *, wanted: str | None = None
) -> tuple[Runtime, tuple[Rejected, ...]]:
    """Return the first of `runtimes` that reads `form`, and the rejected ones before it.

    Raises RuntimeUnavailableError that names every reason.
    """
    rejected: list[Rejected] = []
    for runtime in runtimes:
        if form not in runtime.formats:
            rejected.append(Rejected(runtime.name, f"reads {', '.join(runtime.formats)}, not {form}"))
        elif wanted not in (None, runtime.name):
            rejected.append(Rejected(runtime.name, f"{wanted} was asked for"))
        else:
            return runtime, tuple(rejected)
    reasons = "; ".join(f"{r.what}: {r.reason}" for r in rejected) or "no runtime is installed"
    raise RuntimeUnavailableError(
        f"nothing here runs a .{form} model: {reasons}", hint="pip install 'edgewatt[onnx]' on the device"
    )
