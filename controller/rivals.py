"""Notices another controller on the same broker: both would take the connection from each other, for ever."""

import logging
from dataclasses import dataclass, field

from broker.errors import WireError
from broker.link import Packet
from broker.topics import decode_controller_status
from controller.store import Store

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Rivals:
    """Tells once of each other controller that came online after `since`, Unix seconds, when this one began.

    An earlier one has ended, and only its retained presence is left.
    """

    epoch: str
    since: float
    _told: set[str] = field(default_factory=set)

    def hear(self, packet: Packet, store: Store, at: float) -> None:
        """Take in a controller's presence; call it inside a transaction."""
        try:
            status = decode_controller_status(packet.payload)
        except WireError:
            return
        epoch = status.epoch
        if not status.online or epoch == self.epoch or epoch in self._told or (status.ts or 0.0) <= self.since:
            return
        text = f"another controller ({status.artifact_base_url or epoch}) uses this broker; end one of the two"
        store.add_event(at, "controller", text, who="controller", facts={"level": "error", "epoch": epoch})
        self._told.add(epoch)
        logger.error("another controller is on this broker: epoch=%s url=%s", epoch, status.artifact_base_url)
