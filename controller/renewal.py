"""Says again what devices converge to, some hundred at a time: all of it to a broker, or what has to be renewed.

A broker that restarted may have forgotten it; and an address of a file ends, while a device may come back after weeks.
"""

from dataclasses import dataclass
from typing import Any

from controller.lifecycle import Lifecycle

LOOK_EVERY_S = 3_600.0
AT_ONCE = 500
"""Devices that one second speaks to."""
WALK = "saying_again"
"""How far it came, which is written with what was said: `after` which id, and whether to `all`."""


@dataclass(slots=True, kw_only=True)
class Renewal:
    """Looks now and then, and at once when access begins to be required; call it inside a transaction."""

    lifecycle: Lifecycle
    _looked_at: float = 0.0
    _signed: bool = False

    def say_all(self, at: float) -> None:
        """Begin to say everything again."""
        self._go_on({"after": "", "all": True}, at)

    def tick(self, at: float) -> None:
        """Go on, or begin to write anew what a device could soon not fetch."""
        walk = self.lifecycle.store.remembered(WALK)
        signed = self.lifecycle.urls.required()
        due = signed != self._signed or not 0 <= at - self._looked_at < LOOK_EVERY_S
        if due:
            self._looked_at, self._signed = at, signed
        if walk is None and due and signed:
            walk = {"after": "", "all": False}
        if walk is not None:
            self._go_on(walk, at)

    def _go_on(self, walk: dict[str, Any], at: float) -> None:
        store = self.lifecycle.store
        sql = "SELECT id, desired FROM devices WHERE id > ? AND desired IS NOT NULL ORDER BY id LIMIT ?"
        piece = store.query(sql, [walk["after"], AT_ONCE])
        for device in piece:
            self.lifecycle.say_desired(device["id"], device["desired"], at, again=walk["all"])
        store.remember(WALK, walk | {"after": piece[-1]["id"]} if len(piece) == AT_ONCE else None)
