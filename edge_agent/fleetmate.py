"""What the agent knows of the controller: which life it is in, and the host its artifacts come from."""

import random
from dataclasses import dataclass, field

from broker.messages import ControllerStatus
from edge_agent.download import origin

DEVICES_PER_SECOND = 100
LONGEST_DELAY_S = 60.0


@dataclass(slots=True)
class Fleetmate:
    """The controller as last heard; `configured` hosts are allowed besides its own.

    `in_sight` while it says that it is online, over a broker that we hear; `devices` are those it serves.
    """

    configured: frozenset[str] = frozenset()
    epoch: str = ""
    in_sight: bool = False
    devices: int = 0
    _known: bool = False
    _sightings: int = 0
    _host: str | None = None
    _unseen: bool = field(default=True)

    @property
    def hosts(self) -> frozenset[str]:
        """The hosts that artifacts may come from."""
        return self.configured | ({self._host} if self._host else set())

    @property
    def sighting(self) -> int | None:
        """Which time it is that a controller is in sight, in one life of it and without a pause; None while none is."""
        return self._sightings if self.in_sight else None

    @property
    def away(self) -> bool:
        """Whether there is a controller as far as we know, which does not hear us now."""
        return self._known and not self.in_sight

    def hear(self, status: ControllerStatus) -> bool:
        """Remember `status`; return whether it is another life of the controller than the one we introduced us to."""
        if self.in_sight and not status.online and status.epoch != self.epoch:
            return False  # the Will of an earlier life, which came late
        self._sightings += status.online and (not self.in_sight or status.epoch != self.epoch)
        self._known, self.in_sight, self.devices = True, status.online, status.devices or self.devices
        if status.artifact_base_url:
            self._host = origin(status.artifact_base_url)[1] or None
        if not status.online or status.epoch == self.epoch:
            return False
        first, self._unseen, self.epoch = self._unseen, False, status.epoch
        return not first

    def lose(self) -> None:
        """Know nothing of the controller any more: the broker is gone."""
        self.in_sight = False


def spread(status: ControllerStatus) -> float:
    """Return a random delay in seconds, so that a fleet does not answer a new controller all at once."""
    return random.uniform(0, min(LONGEST_DELAY_S, status.devices / DEVICES_PER_SECOND))  # noqa: S311 - spreads load
