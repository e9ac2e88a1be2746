"""Asks devices again about what they fell silent on: the same command once more, answered from their journal."""

from dataclasses import dataclass

import msgspec

from broker.commands import Command, Desired
from broker.phases import DEVICE_OWNED
from broker.topics import CMD
from controller.deployment import Deployment
from controller.lifecycle import Lifecycle
from controller.outbox import Outbox
from controller.patience import DEADLINE_S

SILENCES = 4
"""How many times the first wait for an answer a device may be silent in the middle of its work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Puts into the outbox what has to be said again; call it inside a transaction.

    A device repeats what its journal knows of an id and does nothing, so asking costs a message and harms nothing. News
    that was lost on its way to us comes again like this.
    """

    lifecycle: Lifecycle
    outbox: Outbox

    @property
    def silence_s(self) -> float:
        """How long a device that is there may say nothing of its work."""
        return SILENCES * self.outbox.first_retry_s

    def look(self, deployment: Deployment, at: float) -> None:
        """Ask about `deployment`, whose device is online, when its device has it and was silent for too long."""
        if deployment.phase not in DEVICE_OWNED or at - deployment.news_at < self.silence_s:
            return
        if not self.outbox.holds(deployment.device_id, deployment.command_id):
            self._put(deployment.device_id, self._command(deployment, at), at, at + DEADLINE_S)

    def typed(self, device_id: str, command: Command, at: float, expires_at: float) -> None:
        """See to it that an order that a person typed arrives, as if it were ours."""
        self._put(device_id, command, at + self.outbox.first_retry_s, expires_at)

    def _command(self, deployment: Deployment, at: float) -> Command:
        """Return the command as the device knows it: what a person typed whole stays as it was."""
        device = self.lifecycle.store.device(deployment.device_id) or {}
        wanted = msgspec.convert(device["desired"], Desired).deploy if device.get("desired") else None
        if wanted is not None and wanted.id == deployment.command_id:
            return self.lifecycle.fetchable(wanted, deployment.device_id, at)
        return self.lifecycle.complete(deployment, at)

    def _put(self, device_id: str, command: Command, at: float, expires_at: float) -> None:
        self.outbox.put(
            device_id=device_id,
            command_id=command.id or "",
            topic=CMD.topic(device_id),
            payload=CMD.encode(command),
            at=at,
            expires_at=expires_at,
        )
