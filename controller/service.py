"""What people can ask of the fleet: deploy, cancel, command, forget; decided, stored and queued in one transaction."""

from dataclasses import asdict, dataclass
from typing import Any

from broker.commands import Command, Conditions
from broker.conditions import check_terms
from broker.errors import ConflictError, EdgeWattError, InvalidError, NotFoundError, RefusedError
from broker.phases import Phase
from broker.topics import CMD, ROUTES, checked_id
from controller import fleet
from controller.asking import Asking
from controller.deployment import CancelAsked, Deployment, Moved, begin
from controller.feedback.bookkeeping import Bookkeeping
from controller.gate import Policy
from controller.judge import Judge, Judgement
from controller.lifecycle import Lifecycle, new_id
from controller.models.store import ArtifactStore
from controller.outbox import Outbox
from controller.records import Commands, Deployments
from controller.resolving import NO_FORMAT_HINT, Resolving, said, verdict_facts
from controller.sleep import OVERSLEPT_S, asleep_until
from controller.storage.store import Row, Store

OWN_POLICY_HINT = "the device's owner sets it there: its settings, or policy.json in its data folder"

COMMAND_TTL_S = 60.0
"""How long an order to a device that is away stays meaningful; to one that sleeps, so long after its waking."""

ORDERS = (
    "ping",
    "info",
    "start",
    "stop",
    "rollback",
    "undeploy",
    "infer",
    "bench",
    "config",
    "logs",
    "restart",
    "help",
)
"""What may be sent as it is; deployments and cancellations have ways of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A deployment that somebody asks for, whichever way."""

    device_id: str
    model: str
    origin: str
    budget_mj: float | None = None
    policy: Policy = "strict"
    force: bool = False
    reason: str = ""
    command_id: str | None = None
    after_attempt: int = 0
    latency_ms: float | None = None
    when: Conditions | None = None
    soak_s: float | None = None
    rollout_id: str | None = None

    def __post_init__(self) -> None:
        """Refuse an override without its reason, and what no device could keep or wait for."""
        if self.force and not self.reason.strip():
            raise InvalidError("an override needs a reason", hint="say why in `reason`; it is stored", field="reason")
        if not self.model.strip():
            raise InvalidError(
                "model_name is empty", hint="`edgewatt models list` shows what there is", field="model_name"
            )
        check_terms(latency_ms=self.latency_ms, when=self.when, soak_s=self.soak_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The controller's decisions; touches no socket."""

    store: Store
    deployments: Deployments
    commands: Commands
    outbox: Outbox
    lifecycle: Lifecycle
    judge: Judge
    artifacts: ArtifactStore
    resolving: Resolving
    artifact_base_url: str
    bookkeeping: Bookkeeping
    asking: Asking

    def known_device(self, device_id: str) -> Row:
        """Return a device's row; raises NotFoundError with the nearest ids."""
        device = self.store.device(device_id)
        if device is None:
            hint = fleet.nearest(device_id, self.store.near(device_id))
            raise NotFoundError(f"no device '{device_id[:80]}'", code="unknown_device", hint=hint)
        return device

    def wakings(self, at: float) -> dict[str, float]:
        """Return when each device wakes that sleeps now, by its id."""
        return self.store.wakings(at - OVERSLEPT_S)

    def waking(self, device_id: str, at: float) -> float | None:
        """Return when a device wakes, None where it does not sleep."""
        device = self.store.device(device_id)
        return None if device is None else asleep_until(device, at)

    def weigh(self, wish: Wish) -> Judgement:
        """Return what the gate says to `wish`, without doing anything. Raises NotFoundError."""
        return self._judged(self.known_device(wish.device_id), wish)

    def _judged(self, device: Row, wish: Wish) -> Judgement:
        return self.judge.judge(
            device,
            wish.model,
            budget_mj=wish.budget_mj,
            policy=wish.policy,
            forced_reason=wish.reason if wish.force else None,
        )

    def deploy(self, wish: Wish, at: float) -> Deployment:
        """Take `wish` through prediction, gate and resolution to the outbox; return the deployment.

        Raises NotFoundError (device or model), ConflictError (not approved) before anything is stored. A refusal is
        stored too: see `refusal_of`.
        """
        device = self.known_device(wish.device_id)
        if not device["approved"]:
            raise ConflictError(
                f"{wish.device_id} waits for approval", code="not_approved", hint="approve the device first"
            )
        judgement = self._judged(device, wish)
        with self.store.transaction():
            deployment = self._begin(wish, at)
            return self._carry_on(deployment, judgement, device, at)

    def adopt(self, wish: Wish, at: float) -> Deployment:
        """Do what `deploy` does for a request that a person typed; what cannot be done is answered on the wire."""
        try:
            return self.deploy(wish, at)
        except EdgeWattError as error:
            with self.store.transaction():
                deployment = self._begin(wish, at)
                deployment = self.lifecycle.apply(deployment, Moved(phase=Phase.PREDICTED), at)
                why = Moved(phase=Phase.REFUSED, reason=said(error), code=error.code)
                return self.lifecycle.apply(deployment, why, at)

    def cancel(self, deployment_id: str, reason: str, who: str, at: float) -> Deployment:
        """End a deployment. Raises NotFoundError, ConflictError when it has ended already."""
        deployment = self.known_deployment(deployment_id)
        if deployment.terminal:
            raise ConflictError(
                f"{deployment_id} has ended already: {deployment.phase.value}", hint="a deployment that ended stays so"
            )
        with self.store.transaction():
            after = self.lifecycle.apply(deployment, CancelAsked(reason=reason or f"cancelled by {who}"), at, who)
            if after.phase is deployment.phase:
                self.lifecycle.tell_asked(after, f"to end it{f': {reason}' if reason else ''}", who, at)
        return after

    def known_deployment(self, deployment_id: str) -> Deployment:
        """Return a deployment by its id, or the newest that a device calls so; raises NotFoundError."""
        deployment = self.deployments.get(deployment_id) or self.deployments.elsewhere(deployment_id)
        if deployment is None:
            raise NotFoundError(f"no deployment '{deployment_id[:80]}'", hint="`edgewatt deployments list` shows them")
        return deployment

    def known_command(self, command_id: str) -> Row:
        """Return a command; raises NotFoundError."""
        command = self.commands.get(command_id)
        if command is None:
            raise NotFoundError(f"no command '{command_id[:80]}'", hint="its id came with the answer to the order")
        return command

    def order(
        self, device_id: str, op: str, fields: dict[str, Any], who: str, at: float, *, ttl_s: float = COMMAND_TTL_S
    ) -> str:
        """Queue a command for a device, kept for `ttl_s`; return its id. Raises NotFoundError, InvalidError."""
        device = self.known_device(device_id)
        if op not in ORDERS:
            raise InvalidError(f"'{op[:40]}' cannot be sent like this", hint=f"one of {' '.join(ORDERS)}", field="op")
        command_id = new_id(op, at)
        expires_at = max(at, asleep_until(device, at) or at) + ttl_s
        command = Command(op=op, id=command_id, ts=at, ttl_s=expires_at - at, **fields)
        with self.store.transaction():
            self.commands.add(command_id, device_id, op, who, at)
            self.outbox.put(
                device_id=device_id,
                command_id=command_id,
                topic=CMD.topic(device_id),
                payload=CMD.encode(command),
                at=at,
                expires_at=expires_at,
            )
            self.tell_order(device_id, command, who, at)
        return command_id

    def tell_order(self, device_id: str, command: Command, who: str, at: float) -> None:
        """Make what a device was told an event, with what the command says."""
        facts = {"command_id": command.id, "op": command.op, "model": command.model, "config": command.config}
        about = [command.model or "", *(f"{name}={value}" for name, value in (command.config or {}).items())]
        text = f"{' '.join(filter(None, (command.op, *about)))} to {device_id}"
        self.store.add_event(at, "command", text[:500], who=who, device_id=device_id, facts=facts)

    def measure(self, device_id: str, model: str, who: str, at: float) -> str:
        """Queue a benchmark of `model` that leaves the running model alone; return the command's id."""
        device = self.known_device(device_id)
        artifact = self.resolving.artifact(model, device, at)
        return self.order(device_id, "bench", {"model": model, "artifact": artifact}, who, at)

    def on_bench(self, device_id: str, result: dict[str, Any], at: float) -> None:
        """Keep what a benchmark showed: as the device's measurement, and beside what was predicted until then."""
        name, device = str(result.get("model")), self.known_device(device_id)
        try:
            model = self.judge.model(name)
        except NotFoundError:
            self.lifecycle.measurements.put(device_id, name, None, result, at)
            self.bookkeeping.on_bench(device, result, {}, None, at)
            return
        predicted = asdict(self.judge.predict(device, model))
        offered = self.judge.offer(device, model).artifact
        sha256 = offered.sha256 if offered else None
        self.lifecycle.measurements.put(device_id, name, sha256, result, at)
        self.bookkeeping.on_bench(device, result, predicted, sha256, at)

    def forget(self, device_id: str, who: str, at: float) -> None:
        """Remove a device and its retained documents. Raises NotFoundError."""
        self.known_device(device_id)
        with self.store.transaction():
            for deployment in self.deployments.find(device_id=device_id, open_only=True):
                self.lifecycle.apply(deployment, CancelAsked(reason="the device is forgotten"), at, who)
            self.store.forget_device(device_id)
            for route in ROUTES:
                if route.retain:
                    topic = route.topic(checked_id(device_id))
                    self.outbox.put(
                        device_id=device_id, command_id=f"forget:{topic}", topic=topic, payload=b"", at=at, retain=True
                    )
            self.store.add_event(at, "device", f"{device_id} forgotten", who=who, device_id=device_id)

    def approve(self, device_id: str, who: str, at: float) -> None:
        """Let a provisional device take deployments. Raises NotFoundError."""
        self.known_device(device_id)
        with self.store.transaction():
            self.store.put_device(device_id, approved=1)
            self.store.add_event(at, "device", f"{device_id} approved", who=who, device_id=device_id)

    def _begin(self, wish: Wish, at: float) -> Deployment:
        deployment = begin(
            command_id=wish.command_id or new_id("deploy", at),
            device_id=wish.device_id,
            model=wish.model,
            origin=wish.origin,
            at=at,
            budget_mj=wish.budget_mj,
            policy=wish.policy,
            forced_reason=wish.reason if wish.force else None,
            typed=wish.command_id is not None,
            after_attempt=wish.after_attempt,
            latency_ms=wish.latency_ms,
            when=wish.when,
            soak_s=wish.soak_s,
            rollout_id=wish.rollout_id,
        )
        self.lifecycle.add(deployment, wish.origin)
        return deployment

    def _carry_on(self, deployment: Deployment, judgement: Judgement, device: Row, at: float) -> Deployment:
        def move(phase: Phase, reason: str | None = None, code: str = "", facts: dict[str, Any] | None = None) -> None:
            nonlocal deployment
            event = Moved(phase=phase, reason=reason, code=code or None, facts=facts or {})
            deployment = self.lifecycle.apply(deployment, event, at)

        verdict = judgement.verdict
        move(Phase.PREDICTED, facts={"predicted": judgement.predicted})
        documented = {"verdict": verdict_facts(verdict)}
        if not verdict.allowed:
            move(Phase.REFUSED, verdict.sentence, verdict.code, documented)
            return deployment
        move(Phase.GATED, verdict.sentence, facts=documented)
        return self.resolving.begin(deployment, device, judgement.offered.artifact, at)


def refusal_of(deployment: Deployment) -> RefusedError | None:
    """Return the error that tells a person why `deployment` was refused, or None if it was not."""
    if deployment.phase is not Phase.REFUSED:
        return None
    would_fit = [a["model"] for a in (deployment.verdict or {}).get("would_fit", ())]
    hint = f"try {would_fit[0]}, a larger budget, or an override with a reason" if would_fit else "measure it first"
    hint = {"no_format": NO_FORMAT_HINT, "local_policy": OWN_POLICY_HINT}.get(deployment.code or "", hint)
    return RefusedError(
        deployment.reason or "refused",
        code=deployment.code or "over_budget",
        hint=hint,
        deployment_id=deployment.id,
        verdict=deployment.verdict,
    )
