"""Notices another controller on the same broker: both would take the connection from each other, for ever."""

import logging
from dataclasses import dataclass, field

from broker.errors import WireError
from broker.link import Packet
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

    def hear(self, packet: Packet, store: Store, at: float) -> None:
        """Take in a controller's presence; call it inside a transaction."""
        try:
            status = decode_controller_status(packet.payload)
        except WireError:
            return
        self._announced |= status.epoch == self.epoch
        if not self._announced or status.epoch in (self.epoch, *self._told):
            return
        name = status.artifact_base_url or f"epoch {status.epoch}"
        text = f"another controller ({name}) uses this broker; end one of the two"
        store.add_event(at, "controller", text, who="controller", facts={"level": "error", "epoch": status.epoch})
        self._told.add(status.epoch)
        logger.error("another controller is on this broker: epoch=%s url=%s", status.epoch, status.artifact_base_url)
