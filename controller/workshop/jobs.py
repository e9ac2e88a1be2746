"""One file that the workshop makes: what was ordered, how far it is, and one pure function from state to state."""

import hashlib
import json
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal

from controller.models.manifest import Format, Variant

ATTEMPTS = 2
"""How often a job is begun: a converter that takes the controller down with it must not do so for ever."""

LASTING = frozenset({"unsupported_operator", "conversion_failed", "golden_mismatch", "unknown_model", "bad_artifact"})
"""Reasons that stay true until the converters change; a hub that is away is none of them."""

FOR_DEPLOYMENTS = "deployment"
"""Who asks for what only deployments need; it is given up when none of them needs it any more."""


class JobState(StrEnum):
    """How a job stands; the same words in REST, the command line and the dashboard."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN = frozenset({JobState.QUEUED, JobState.RUNNING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a file is made from: a network by `name` (timm, package), or a file at `path` (safetensors, onnx)."""

    kind: Literal["timm", "package", "safetensors", "onnx"]
    name: str | None = None
    pretrained: bool | None = None
    path: str | None = None
    architecture: str | None = None

    @property
    def document(self) -> dict[str, Any]:
        """The source as the worker reads it: only what is known."""
        facts = {name: getattr(self, name) for name in type(self).__dataclass_fields__}
        return {name: value for name, value in facts.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be made: `model` is the name of the variant, `calibration` a folder of images or None."""

    model: str
    format: Format
    variant: Variant
    source: Source
    calibration: str | None = None

    @property
    def key(self) -> str:
        """What makes two orders the same work."""
        facts = [self.model, self.format, self.source.document, self.calibration]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def request(self, out: str) -> dict[str, Any]:
        """Return the document that tells a worker to make it in the folder `out`."""
        return {
            "model": self.model,
            "source": self.source.document,
            "format": self.format,
            "variant": self.variant,
            "calibration": self.calibration,
            "out": out,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An order on its way; `progress` is 0 to 1, `versions` those of the converters it was begun with."""

    id: str
    order: Order
    who: str
    created_at: float
    state: JobState = JobState.QUEUED
    attempt: int = 0
    progress: float = 0.0
    step: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    started_at: float | None = None
    ended_at: float | None = None
    sha256: str | None = None
    code: str | None = None
    message: str | None = None
    hint: str | None = None

    @property
    def open(self) -> bool:
        """Whether it still waits or runs."""
        return self.state in OPEN

    @property
    def lasting(self) -> bool:
        """Whether it failed for a reason that the same converters would give again."""
        return self.state is JobState.FAILED and self.code in LASTING


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A worker was started with converters of these versions."""

    versions: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The worker says how far it is, and what it does in words for people."""

    progress: float
    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """The file was verified and is in the store."""

    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """There is no file; `code` for programs, `message` and `hint` for people."""

    code: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """Somebody ended it, or nobody needs it any more."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted:
    """The controller ended in the middle; `politely` when it was asked to, so that the attempt does not count."""

    politely: bool = False


Event = Begun | Told | Made | Failed | Cancelled | Interrupted


def step(before: Job, event: Event, at: float) -> Job:
    """Return what `before` becomes at time `at`; what makes no sense changes nothing."""
    running = before.state is JobState.RUNNING
    match event:
        case Begun(versions=versions) if before.state is JobState.QUEUED:
            begun = replace(before, state=JobState.RUNNING, attempt=before.attempt + 1, started_at=at)
            return replace(begun, versions=versions, progress=0.0, step="starting")
        case Told(progress=progress, step=words) if running:
            return replace(before, progress=max(before.progress, min(progress, 1.0)), step=words)
        case Made(sha256=sha256) if running:
            return replace(before, state=JobState.DONE, progress=1.0, step="", sha256=sha256, ended_at=at)
        case Failed() if running:
            return _fail(before, event, at)
        case Cancelled(reason=reason) if before.open:
            ended = replace(before, state=JobState.CANCELLED, step="", ended_at=at)
            return replace(ended, code="cancelled", message=reason)
        case Interrupted(politely=True) if running:
            return replace(before, state=JobState.QUEUED, attempt=before.attempt - 1, progress=0.0, step="")
        case Interrupted() if running and before.attempt >= ATTEMPTS:
            said = f"the controller went down {before.attempt} times while {before.order.model} was made"
            return _fail(before, Failed(code="interrupted", message=said, hint="see the controller's log"), at)
        case Interrupted() if running:
            return replace(before, state=JobState.QUEUED, progress=0.0, step="")
    return before


def _fail(before: Job, why: Failed, at: float) -> Job:
    ended = replace(before, state=JobState.FAILED, step="", ended_at=at)
    return replace(ended, code=why.code, message=why.message, hint=why.hint or None)
