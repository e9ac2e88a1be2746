"""What devices and the controller say of themselves: presence, registration, state, telemetry, logs.

Frozen records; every field added later has a default, unknown fields are ignored on reading, and an absent value is
`None`, never 0 or -1. Times `ts` are Unix seconds. Energy is mJ per inference unless a name says otherwise.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from broker.activity import GovernorState, InputState
from broker.commands import Conditions
from broker.energy import Source
from broker.phases import Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Presence of one session of an agent; its Will is the same with `online` false."""

    online: bool
    session: str
    v: int = 1
    ts: float | None = None
    interval_s: float = 5.0
    reason: str | None = None
    wake_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeInfo:
    """A runtime that ran on this device, and the file formats it reads.

    `opset_max` and `ir_max` are the newest ONNX it takes, found by trying; `providers` are where it computes (`cpu`,
    `cuda`, `tensorrt`), the preferred one first, and `threads` how many it was told to use.
    """

    name: str
    version: str
    formats: tuple[str, ...] = ()
    opset_max: int | None = None
    ir_max: int | None = None
    providers: tuple[str, ...] = ()
    threads: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerSensor:
    """What measures the device's power."""

    source: Source
    rail: str | None = None
    rate_hz: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPolicy:
    """What the owner of a device allows on it, which beats any command; the defaults allow everything.

    `locked` takes no deployment, `only_hosts` are those that files may come from, where there are any, and `signed`
    asks for a signature. Energy is per inference, latency its p95.
    """

    locked: bool = False
    max_energy_mj: float | None = None
    max_latency_ms: float | None = None
    only_hosts: tuple[str, ...] = ()
    signed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """Birth certificate and registration of a device.

    `balena_uuid` is what balena calls the board, where the agent runs in a container of balenaOS.
    """

    device_type: str
    v: int = 1
    session: str | None = None
    ts: float | None = None
    board: str | None = None
    os: str | None = None
    arch: str | None = None
    cpu: str | None = None
    cpu_count: int | None = None
    ram_mb: float | None = None
    disk_free_mb: float | None = None
    accelerators: tuple[str, ...] = ()
    runtimes: tuple[RuntimeInfo, ...] = ()
    formats: tuple[str, ...] = ()
    ops: tuple[str, ...] = ()
    power_sensor: PowerSensor | None = None
    battery_wh: float | None = None
    solar: bool | None = None
    solar_wh_per_day: float | None = None
    thermal_limit_c: float | None = None
    ip: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    agent_version: str | None = None
    simulated: bool = False
    policy: LocalPolicy | None = None
    balena_uuid: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveModel:
    """A model that a device holds, running or kept to fall back on; `provider` and `threads` it was deployed with."""

    model: str
    artifact_sha256: str
    runtime: str
    gen: int = 0
    deployment_id: str | None = None
    provider: str | None = None
    threads: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentCommand:
    """The command a device works on; enough for a controller that missed it to adopt it.

    `detail` and `eta` are those of `Ack`; `when` and `soak_s` those of `Command`.
    """

    id: str
    op: str
    state: Phase
    reason: str | None = None
    model: str | None = None
    max_energy_mj: float | None = None
    gen: int | None = None
    attempt: int = 1
    seq: int = 0
    ts: float | None = None
    detail: str | None = None
    eta: float | None = None
    max_latency_ms: float | None = None
    when: Conditions | None = None
    soak_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastCommand:
    """How one of the newest commands stands, for a controller that heard no ack."""

    id: str
    op: str
    state: Phase
    attempt: int = 1
    seq: int = 0
    gen: int | None = None
    ts: float | None = None
    code: str | None = None
    msg: str | None = None
    result: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerState:
    """Battery, heat and throttling as the device sees them."""

    soc_pct: float | None = None
    charging: bool | None = None
    temp_c: float | None = None
    throttled: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetState:
    """The running model's energy against the budget it was deployed under; `source` says how it was obtained."""

    energy_mj: float | None = None
    latest_mj: float | None = None
    avg_mj: float | None = None
    status: Literal["ok", "over_budget"] = "ok"
    source: Source | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A device's reported truth.

    `phase` is `idle` (no model), `running`, `stopped`, or the step of the deployment at work.
    """

    rev: int
    session: str
    v: int = 1
    ts: float | None = None
    phase: str = "idle"
    gen: int = 0
    active: ActiveModel | None = None
    previous: ActiveModel | None = None
    current_cmd: CurrentCommand | None = None
    last_cmds: tuple[LastCommand, ...] = ()
    power: PowerState | None = None
    budget: BudgetState | None = None
    governor: GovernorState | None = None
    refused: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Latency percentiles over one interval, ms."""

    p50: float
    p95: float
    max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """Mean energy per inference over one interval, and how it was obtained."""

    source: Source
    energy_mj: float | None = None
    power_mw: float | None = None
    rate_hz: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The newest answer of the running model; `truth` when the sample is labelled."""

    label: str
    confidence: float | None = None
    truth: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """One sample of a device's vital signs, or a `batch` of samples taken while it was away."""

    ts: float | None = None
    session: str | None = None
    seq: int | None = None
    v: int = 1
    cpu_usage_percent: float | None = None
    ram_usage_mb: float | None = None
    ram_usage_percent: float | None = None
    temperature_c: float | None = None
    storage_usage_mb: float | None = None
    uptime_seconds: float | None = None
    inference_active: bool | None = None
    model: str | None = None
    gen: int | None = None
    inferences: int | None = None
    top1_pct: float | None = None
    answer: Answer | None = None
    rate: float | None = None
    inputs: InputState | None = None
    latency_ms: Latency | None = None
    energy: Energy | None = None
    soc_pct: float | None = None
    charging: bool | None = None
    throttled: bool | None = None
    spooled: bool = False
    batch: tuple["Telemetry", ...] = ()

    def __post_init__(self) -> None:
        """Refuse a sample that says neither when nor by whom it was taken."""
        if not self.batch and (self.ts is None or self.session is None or self.seq is None):
            raise ValueError("a sample needs ts, session and seq")

    @property
    def samples(self) -> tuple["Telemetry", ...]:
        """The samples of this message, oldest first."""
        return self.batch or (self,)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line of a device's log; `dropped` counts what the rate limit held back before it."""

    msg: str
    ts: float | None = None
    level: Literal["debug", "info", "warning", "error"] = "info"
    cmd_id: str | None = None
    dropped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerStatus:
    """Presence of the controller; a new `epoch` makes agents say who they are again."""

    online: bool
    epoch: str = ""
    v: int = 1
    ts: float | None = None
    artifact_base_url: str | None = None
    devices: int = 0
    reason: str | None = None
