"""Lets a second pass: what is due by the clock is looked at, one subject after the other."""

from dataclasses import dataclass, field

from controller.feedback.calibrating import Calibrating
from controller.feedback.succession import Succession
from controller.hearing import Hearing
from controller.keeping import Keeping
from controller.looking import next_look, passed
from controller.pruning import Pruning
from controller.renewal import Renewal
from controller.rollouts.rolling import Rolling
from controller.service import Service
from controller.sleepers import Sleepers
from controller.telemetry.retention import Retention

AT_ONCE = 500
"""Open deployments that one second looks at."""


@dataclass(slots=True, kw_only=True)
class Passing:
    """Everything that waits for time; `leaves_telemetry` says that others store the readings of devices."""

    hearing: Hearing
    calibrating: Calibrating
    rolling: Rolling
    succession: Succession
    keeping: Keeping
    retention: Retention
    pruning: Pruning
    leaves_telemetry: bool
    _sleepers: Sleepers = field(init=False)
    renewal: Renewal = field(init=False)

    def __post_init__(self) -> None:
        """Begin to look out for devices that should wake, and for terms that end."""
        self._sleepers = Sleepers(store=self.service.store)
        self.renewal = Renewal(lifecycle=self.service.lifecycle)

    @property
    def service(self) -> Service:
        """The decisions that time leads to."""
        return self.hearing.service

    def tick(self, at: float) -> None:
        """Let it be `at`; inside a transaction."""
        service = self.service
        for row in service.outbox.expired(at):
            if service.commands.expire(row["device_id"], row["command_id"], at):
                text = f"a command to {row['device_id']} expired: the device was away"
                service.store.add_event(at, "command", text, device_id=row["device_id"])
        if self.leaves_telemetry:
            self.hearing.look_at_readings()
        service.resolving.go_on(at)
        self._look_at_open(at)
        self._sleepers.tick(at)
        self.renewal.tick(at)
        service.bookkeeping.look(at)
        self.calibrating.tick(at)
        self.rolling.tick(at)
        self.succession.tick(at)
        self.keeping.tick(at)
        self.retention.tick(at)
        self.pruning.tick(at)

    def _look_at_open(self, at: float) -> None:
        """Let time pass for the open deployments that are due, and ask about those whose device fell silent."""
        service = self.service
        due = service.deployments.due(at, AT_ONCE)
        presences = service.store.presences(each.device_id for each in due)
        for deployment in due:
            tick = passed(presences.get(deployment.device_id), at)
            after = service.lifecycle.apply(deployment, tick, at)
            if tick.online and not tick.asleep:
                service.asking.look(after, at)
            if not after.terminal:
                service.deployments.look_at(after.id, next_look(after, tick, at, service.asking.silence_s))
