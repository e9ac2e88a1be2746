"""Notices what others say of the controller's presence: a second one, or the Will of a lost connection that comes late.

Two would take the connection from each other, for ever. A late Will would let devices believe that nobody is here.
"""

import logging
from dataclasses import dataclass, field

from broker.errors import WireError
from broker.link import Packet
from broker.messages import ControllerStatus
from broker.topics import decode_controller_status
from controller.storage.store import Store

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Rivals:
    """Tells once of each other controller that is heard after ourselves, `epoch`.

    Until we hear our own presence, what we hear is what an earlier controller left behind.
    """

    epoch: str
    _announced: bool = False
    _told: set[str] = field(default_factory=set)

    def hear(self, packet: Packet, store: Store, at: float) -> bool:
        """Take in a controller's presence, inside a transaction; return whether we have to say again that we are."""
        try:
            status = decode_controller_status(packet.payload)
        except WireError:
            return False
        self._announced |= status.epoch == self.epoch
        if not self._announced:
            return False
        if not status.online:
            return (status.epoch, status.reason) != (self.epoch, "shutdown")
        if status.epoch not in (self.epoch, *self._told):
            self._tell(status, store, at)
        return False

    def _tell(self, status: ControllerStatus, store: Store, at: float) -> None:
        name = status.artifact_base_url or f"epoch {status.epoch}"
        text = f"another controller ({name}) uses this broker; end one of the two"
        store.add_event(at, "controller", text, who="controller", facts={"level": "error", "epoch": status.epoch})
        self._told.add(status.epoch)
        logger.error("another controller is on this broker: epoch=%s url=%s", status.epoch, status.artifact_base_url)
