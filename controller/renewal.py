"""Renews addresses in what devices converge to, before they end: who comes back after weeks finds its file."""

from dataclasses import dataclass

from controller.lifecycle import Lifecycle

LOOK_EVERY_S = 3_600.0


@dataclass(slots=True, kw_only=True)
class Renewal:
    """Looks now and then, and at once when access begins to be required; call `tick` inside a transaction."""

    lifecycle: Lifecycle
    _looked_at: float = 0.0
    _signed: bool = False

    def tick(self, at: float) -> None:
        """Write anew what a device could soon not fetch."""
        signed = self.lifecycle.urls.required()
        due = signed != self._signed or not 0 <= at - self._looked_at < LOOK_EVERY_S
        if signed and due:
            self.lifecycle.renew_desired(at)
        if due:
            self._looked_at, self._signed = at, signed
