"""What is asked of a device and how it answers: commands, the desired slot, acks.

Only `op` is required of a command, so that a person can type one. Energy is mJ per inference unless said otherwise.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

from broker.energy import mj_from_mwh
from broker.phases import Phase

OPS = (
    "ping",
    "info",
    "deploy",
    "start",
    "stop",
    "rollback",
    "undeploy",
    "infer",
    "bench",
    "config",
    "cancel",
    "logs",
    "restart",
    "help",
)


BARE_OPS = frozenset({"ping", "info", "start", "stop", "rollback", "undeploy", "infer", "bench", "cancel", "logs"}) | {
    "restart",
    "help",
}
"""Ops that need nothing else, so a bare word is a command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactRef:
    """The bytes of a model: where they are, and what they must be."""

    url: str
    sha256: str
    size: int
    format: str = "onnx"
    sig: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedEnergy:
    """What the controller expects a model to cost; mJ per inference, 95 % interval."""

    energy_mj: float | None = None
    low_mj: float | None = None
    high_mj: float | None = None
    predictor: str | None = None
    support: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The most one inference may cost, and the most that 95 % of them may take."""

    energy_mj: float | None = None
    latency_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """When a device may begin."""

    soc_min_pct: float | None = None
    charging: bool | None = None
    temp_max_c: float | None = None
    window: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """How much the device measures before it commits."""

    warmup: int = 10
    inferences: int = 200
    min_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command; only `op` is required, so a person can type it.

    `target` names the command that a `cancel` ends; `code` and `reason` say why.
    """

    op: str
    v: int = 1
    id: str | None = None
    gen: int | None = None
    ts: float | None = None
    ttl_s: float | None = None
    attempt: int = 1
    model: str | None = None
    runtime: str | None = None
    max_energy_mj: float | None = None
    max_energy: float | None = None
    max_latency_ms: float | None = None
    artifact: ArtifactRef | None = None
    predict: PredictedEnergy | None = None
    budget: Budget | None = None
    when: Conditions | None = None
    probe: Probe | None = None
    soak_s: float = 0.0
    on_fail: Literal["rollback", "stay"] = "rollback"
    target: str | None = None
    code: str | None = None
    reason: str | None = None
    config: dict[str, Any] | None = None
    input: Any = None

    @property
    def budget_mj(self) -> float | None:
        """The budget in mJ per inference, whichever way it was given."""
        if self.budget is not None and self.budget.energy_mj is not None:
            return self.budget.energy_mj
        if self.max_energy_mj is not None:
            return self.max_energy_mj
        return None if self.max_energy is None else mj_from_mwh(self.max_energy)

    @property
    def budget_ms(self) -> float | None:
        """The budget of the p95 latency in ms, whichever way it was given."""
        if self.budget is not None and self.budget.latency_ms is not None:
            return self.budget.latency_ms
        return self.max_latency_ms

    @property
    def is_request(self) -> bool:
        """Whether this is a deploy by name that the controller has to complete."""
        return self.op == "deploy" and self.artifact is None

    @property
    def fingerprint(self) -> str:
        """What makes two commands of one id the same; delivery details (ts, attempt, url) do not count."""
        artifact = self.artifact.sha256 if self.artifact else None
        facts: tuple[Any, ...] = (self.op, self.model, artifact, self.budget_mj, self.target, self.config, self.input)
        if self.budget_ms is not None:  # what older journals hold was named without it
            facts += (self.budget_ms,)
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a download is, in bytes."""

    bytes: int
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a command ended badly."""

    code: str
    msg: str
    retryable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """How a command stands; a reader applies it only when (`attempt`, `seq`) is greater than what it knows.

    While `waiting`, `reason` is one word of the contract, `detail` says it in words with figures, and `eta` (Unix s)
    when it can go on, where that can be known.
    """

    id: str
    op: str
    state: Phase
    attempt: int = 1
    seq: int = 0
    gen: int | None = None
    ts: float | None = None
    reason: str | None = None
    progress: Progress | None = None
    error: Fault | None = None
    result: dict[str, Any] | None = None
    detail: str | None = None
    eta: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """The one retained slot a device that was away converges to; `deploy` None is no opinion."""

    gen: int
    v: int = 1
    deploy: Command | None = None
    config: dict[str, Any] = field(default_factory=dict)


def hand_typed_id(payload: bytes) -> str:
    """Return the id of a command that came without one."""
    return "h-" + hashlib.sha256(payload).hexdigest()[:12]
