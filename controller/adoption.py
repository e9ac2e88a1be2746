"""Takes up what people type on the bus: requests by name, complete commands, cancellations; each once per device."""

from dataclasses import dataclass, replace

from broker.commands import Ack, Command, hand_typed_id
from broker.messages import CurrentCommand
from broker.phases import Phase
from controller.deployment import Deployment, begin
from controller.service import COMMAND_TTL_S, Service, Wish

REMEMBERED_S = 60.0
"""How long the same typing is the same command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """Gives what was typed a life of its own in the controller's books."""

    service: Service

    def on_command(self, device_id: str, command: Command, payload: bytes, at: float) -> None:
        """Take up `command`, typed as `payload`; what is known already, ours among it, changes nothing."""
        command_id = command.id or hand_typed_id(payload)
        before = self.service.deployments.on_device(device_id, command_id)
        if before is not None:
            forgotten = command.id is None and before.terminal and at - before.created_at >= REMEMBERED_S
            if forgotten and command.is_request:
                self.begin_again(before, at, after_attempt=before.attempt)
            return
        if self.service.commands.get(command_id, device_id) is not None:
            return
        if command.is_request:
            self._adopt(device_id, command, command_id, at)
        elif command.op == "deploy":
            self._record_complete(device_id, command, command_id, at)
        else:
            self.service.commands.add(command_id, device_id, command.op, "mqtt", at)
            known = replace(command, id=command_id)
            self.service.tell_order(device_id, known, "mqtt", at)
            if command.op != "cancel" or command.target is not None:  # what is at work now may be something else later
                self.service.asking.typed(device_id, known, at, at + COMMAND_TTL_S)
            if command.op == "cancel":
                self._on_typed_cancel(device_id, command, at)

    def on_waiting(self, device_id: str, current: CurrentCommand, at: float) -> None:
        """Take up a request that only the device's retained state tells of: nobody listened when it was typed."""
        if not current.model or self.service.deployments.on_device(device_id, current.id) is not None:
            return
        wish = Wish(
            device_id=device_id,
            model=current.model,
            origin="mqtt",
            budget_mj=current.max_energy_mj,
            command_id=current.id,
            after_attempt=max(0, current.attempt - 1),
            latency_ms=current.max_latency_ms,
            when=current.when,
            soak_s=current.soak_s or None,
        )
        self.service.adopt(wish, at)

    def begin_again(self, ended: Deployment, at: float, *, after_attempt: int) -> None:
        """Give a request that was typed once more a life of its own."""
        self.service.deployments.retire(ended)
        wish = Wish(
            device_id=ended.device_id,
            model=ended.model,
            origin="mqtt",
            budget_mj=ended.budget_mj,
            command_id=ended.command_id,
            after_attempt=after_attempt,
            latency_ms=ended.latency_ms,
            when=ended.when,
            soak_s=ended.soak_s,
        )
        self.service.adopt(wish, at)

    def _adopt(self, device_id: str, command: Command, command_id: str, at: float) -> None:
        if not command.model or not command.model.strip():
            return  # the agent answers that a deploy needs a model
        wish = Wish(
            device_id=device_id,
            model=command.model,
            origin="mqtt",
            budget_mj=command.budget_mj,
            command_id=command_id,
            latency_ms=command.budget_ms,
            when=command.when,
            soak_s=command.soak_s or None,
        )
        self.service.adopt(wish, at)

    def _record_complete(self, device_id: str, command: Command, command_id: str, at: float) -> None:
        """Adopt a complete deploy typed by hand: its author chose the artifact, so there was no gate."""
        lifecycle = self.service.lifecycle
        gen = command.gen or lifecycle.next_gen(device_id)
        sent = begin(
            command_id=command_id,
            device_id=device_id,
            model=command.model or "unnamed",
            origin="mqtt",
            at=at,
            budget_mj=command.budget_mj,
            typed=True,
            latency_ms=command.budget_ms,
            when=command.when,
            soak_s=command.soak_s,
        )
        reason = "sent by hand with its artifact; the gate was not asked"
        lifecycle.add(replace(sent, phase=Phase.SENT, gen=gen, artifact=command.artifact, reason=reason), "mqtt")
        lifecycle.want(replace(command, id=command_id, gen=gen), device_id, at)

    def _on_typed_cancel(self, device_id: str, command: Command, at: float) -> None:
        """End what the device has not heard of yet; what it has, it ends itself."""
        deployment = self.service.deployments.on_device(device_id, command.target) if command.target else None
        if deployment and deployment.phase is Phase.QUEUED:
            self.service.cancel(deployment.id, command.reason or "cancelled by hand", "mqtt", at)


def asks_us(ack: Ack) -> bool:
    """Return whether the device waits for the controller to complete a request."""
    return ack.state is Phase.WAITING and ack.reason == "controller"


def is_typed_again(deployment: Deployment, ack: Ack, at: float) -> bool:
    """Return whether the device began a new life of a request that ended here: its minute began before ours."""
    newer = ack.attempt > max(1, deployment.attempt) and at - deployment.created_at >= REMEMBERED_S / 2
    return deployment.terminal and deployment.typed and newer and asks_us(ack)
