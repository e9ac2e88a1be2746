"""The controller's side of a deployment's life: one record, one pure function, no clock, no store, no broker."""

from dataclasses import dataclass, field, replace
from typing import Any

from broker.commands import Ack, ArtifactRef, Conditions, Progress
from broker.phases import CONTROLLER_OWNED, DEVICE_OWNED, NEXT, TERMINAL, Phase
from controller.gate import Policy
from controller.patience import DEADLINE_S, PATIENCE_S, span

NOTED_EVERY_S = 60.0
PAUSED_EVERY_S = 10.0

WITHDRAWABLE = CONTROLLER_OWNED - {Phase.QUEUED, Phase.SENT}
"""Steps before the device could have heard of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One attempt to bring a model to a device; `attempt` and `seq` are the device's newest word.

    `id` is unique in the fleet. `command_id` is what it is called on the wire, unique on its device only: the same
    words typed to two devices have one. `latency_ms` is the budget of the p95, `when` what the device waits for,
    `soak_s` how long it is watched (None: as the controller is set). While it waits, `code` is the contract's word for
    what it waits for, `reason` says that in words, and `eta` (Unix s) when it can go on, where that can be known.
    `asleep_at` is up to when the timers were moved on while the device sleeps, None while it is awake.
    """

    id: str
    command_id: str
    device_id: str
    model: str
    origin: str
    created_at: float
    since: float
    news_at: float
    deadline_at: float
    phase: Phase = Phase.REQUESTED
    budget_mj: float | None = None
    policy: Policy = "strict"
    forced_reason: str | None = None
    gen: int | None = None
    artifact: ArtifactRef | None = None
    predicted: dict[str, Any] | None = None
    verdict: dict[str, Any] | None = None
    reason: str | None = None
    code: str | None = None
    attempt: int = 0
    seq: int = 0
    progress: Progress | None = None
    result: dict[str, Any] | None = None
    typed: bool = False
    job_id: str | None = None
    latency_ms: float | None = None
    when: Conditions | None = None
    soak_s: float | None = None
    eta: float | None = None
    asleep_at: float | None = None
    rollout_id: str | None = None

    @property
    def terminal(self) -> bool:
        """Whether this deployment has ended; it never changes again."""
        return self.phase in TERMINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The controller did its part of the work and enters `phase`."""

    phase: Phase
    reason: str | None = None
    code: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """The controller's part takes longer: what it waits for, in words; the step goes on."""

    reason: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The device reported how the deployment stands."""

    ack: Ack


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAsked:
    """A person wants it ended."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """A newer deployment was asked for on the same device."""

    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Time passed; `asleep` stops every timer, and while not `online` nobody can accept what was sent."""

    asleep: bool = False
    online: bool = True


Event = Moved | Noted | Heard | CancelAsked | Replaced | Tick


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw:
    """Tell the device to end it: a `cancel` with a reason, which it remembers even if it never heard of it."""

    reason: str
    code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Send the complete command, and keep it as the device's desired state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clear:
    """The deployment ended without success: it is no longer what the device should converge to."""


Effect = Withdraw | Offer | Clear


def begin(
    *,
    command_id: str,
    device_id: str,
    model: str,
    origin: str,
    at: float,
    budget_mj: float | None = None,
    policy: Policy = "strict",
    forced_reason: str | None = None,
    typed: bool = False,
    after_attempt: int = 0,
    latency_ms: float | None = None,
    when: Conditions | None = None,
    soak_s: float | None = None,
    rollout_id: str | None = None,
) -> Deployment:
    """Return a new deployment; news of attempts up to `after_attempt` belong to an earlier life of the same id.

    What a person `typed` gets the device into its id.
    """
    return Deployment(
        id=f"{command_id}@{device_id}" if typed else command_id,
        command_id=command_id,
        device_id=device_id,
        model=model,
        origin=origin,
        created_at=at,
        since=at,
        news_at=at,
        deadline_at=at + DEADLINE_S,
        budget_mj=budget_mj,
        policy=policy,
        forced_reason=forced_reason,
        typed=typed,
        attempt=after_attempt,
        seq=2**53 if after_attempt else 0,
        latency_ms=latency_ms,
        when=when,
        soak_s=soak_s,
        rollout_id=rollout_id,
    )


def step(before: Deployment, event: Event, at: float) -> tuple[Deployment, tuple[Effect, ...]]:
    """Return what `before` becomes at time `at`, and what has to be done; what makes no sense changes nothing."""
    if before.terminal:
        return before, ()
    match event:
        case Moved():
            return _move(before, event, at)
        case Noted() if before.phase in CONTROLLER_OWNED:
            return _note(before, event, at), ()
        case Heard(ack=ack):
            return _hear(before, ack, at)
        case CancelAsked(reason=reason):
            return _cancel(before, reason, at)
        case Replaced(by=by) if before.phase in CONTROLLER_OWNED:
            return _end(before, Phase.SUPERSEDED, f"replaced by {by}", "superseded", at)
        case Tick():
            return _tick(before, event, at)
    return before, ()


def _move(before: Deployment, event: Moved, at: float) -> tuple[Deployment, tuple[Effect, ...]]:
    if before.phase not in CONTROLLER_OWNED or event.phase not in NEXT[before.phase]:
        return before, ()
    if event.phase in TERMINAL:
        after, effects = _end(before, event.phase, event.reason or "", event.code, at)
        return replace(after, **event.facts), effects
    after = replace(before, phase=event.phase, since=at, news_at=at, reason=event.reason, code=event.code)
    return replace(after, **event.facts), (Offer(),) if event.phase is Phase.QUEUED else ()


def _note(before: Deployment, event: Noted, at: float) -> Deployment:
    """Return `before` with what it waits for; the same words count as news once a minute, so that little is written."""
    after = replace(before, reason=event.reason, **event.facts)
    return before if after == before and at - before.news_at < NOTED_EVERY_S else replace(after, news_at=at)


def _hear(before: Deployment, ack: Ack, at: float) -> tuple[Deployment, tuple[Effect, ...]]:
    if (ack.attempt, ack.seq) <= (before.attempt, before.seq) or ack.state not in DEVICE_OWNED | TERMINAL:
        return before, ()
    if _is_early(before, ack):
        return replace(before, attempt=ack.attempt, seq=ack.seq), ()
    waits = ack.state is Phase.WAITING
    after = replace(
        before,
        phase=ack.state,
        since=before.since if ack.state is before.phase else at,
        news_at=at,
        attempt=ack.attempt,
        seq=ack.seq,
        reason=ack.detail or ack.reason or (ack.error.msg if ack.error else None),
        code=ack.error.code if ack.error else ack.reason if waits else None,
        eta=ack.eta if waits else None,
        progress=ack.progress or (before.progress if ack.state is before.phase else None),
        result=ack.result or before.result,
    )
    return after, (Clear(),) if after.terminal and after.phase is not Phase.SUCCEEDED else ()


def _is_early(before: Deployment, ack: Ack) -> bool:
    """Return whether the device only says that it waits for our answer to a request that is still ours."""
    return (
        before.phase in CONTROLLER_OWNED
        and (ack.state is Phase.ACCEPTED or (ack.state is Phase.WAITING and ack.reason == "controller"))
        and before.typed
    )


def _cancel(before: Deployment, reason: str, at: float) -> tuple[Deployment, tuple[Effect, ...]]:
    if before.phase in WITHDRAWABLE | {Phase.QUEUED}:
        return _end(before, Phase.CANCELLED, reason, "cancelled", at)
    return replace(before, news_at=at), (Withdraw(reason=reason),)


def _tick(before: Deployment, tick: Tick, at: float) -> tuple[Deployment, tuple[Effect, ...]]:
    slept_s = 0.0 if before.asleep_at is None else max(0.0, at - before.asleep_at)
    if tick.asleep:
        is_written = before.asleep_at is None or slept_s >= PAUSED_EVERY_S
        return _moved_on(before, slept_s, at) if is_written else before, ()
    awake = _moved_on(before, slept_s, None)
    if not tick.online and before.phase is Phase.SENT and at < before.deadline_at:
        return replace(awake, news_at=at), ()
    return _expire(awake, at)


def _moved_on(before: Deployment, slept_s: float, asleep_at: float | None) -> Deployment:
    """Return `before` with its timers moved on by a sleep; `asleep_at` is None where that is over."""
    news_at, deadline_at = before.news_at + slept_s, before.deadline_at + slept_s
    return replace(before, asleep_at=asleep_at, news_at=news_at, deadline_at=deadline_at)


def _expire(before: Deployment, at: float) -> tuple[Deployment, tuple[Effect, ...]]:
    limit_s = PATIENCE_S[before.phase]
    if at >= before.deadline_at:
        return _end(before, Phase.TIMED_OUT, f"not done after {span(at - before.created_at)}", "timed_out", at)
    if at - before.news_at >= limit_s:
        words = f"no news while {before.phase.value} for {span(limit_s)}"
        return _end(before, Phase.TIMED_OUT, words, "timed_out", at)
    return before, ()


def _end(
    before: Deployment, phase: Phase, reason: str, code: str | None, at: float
) -> tuple[Deployment, tuple[Effect, ...]]:
    """End it on our side; what the device may have heard of is withdrawn there too."""
    after = replace(before, phase=phase, since=at, news_at=at, reason=reason, code=code)
    known_there = before.typed or before.phase not in WITHDRAWABLE
    effects: list[Effect] = [Withdraw(reason=reason, code=code)] if known_there else []
    if before.phase not in WITHDRAWABLE:
        effects.append(Clear())
    return after, tuple(effects)
