"""The part of the REST client that speaks of boards at balena: what it knows of them, their releases and logs."""

from abc import ABC, abstractmethod
from typing import Any
from urllib.parse import quote

Document = dict[str, Any]

AWAY = ("balena_unreachable", "balena_timed_out", "balena_busy", "balena_failed", "balena_answer")
"""Codes of the controller's answer where it is balena that does not answer."""
WITHIN_S = 30.0
"""How long to wait: the controller waits for balena itself, and says when that took too long."""


class Balena(ABC):
    """Methods of `controller.client.Client`, which knows how to ask."""

    @abstractmethod
    def _get_patiently(self, path: str, timeout_s: float, **params: Any) -> Document: ...

    @abstractmethod
    def _send(self, method: str, path: str, body: Any = None, *, timeout_s: float | None = None) -> Document: ...

    def balena_devices(self, app_slug: str = "", *, where: str = "", limit: int = 100, offset: int = 0) -> Document:
        """Return one page of boards known to balena, to us or to both, `{fleet, total, counts, devices}`.

        Without `app_slug` the fleet that the controller is configured with; `where` is both, balena or here.
        """
        asked = {"app_slug": app_slug, "where": where, "limit": limit, "offset": offset}
        return self._get_patiently("/api/balena/devices", WITHIN_S, **asked)

    def balena_releases(self, app_slug: str = "", *, limit: int = 20) -> Document:
        """Return a fleet and its newest releases, `{fleet, releases}`."""
        return self._get_patiently("/api/balena/releases", WITHIN_S, app_slug=app_slug, limit=limit)

    def balena_pin_device(self, device_uuid: str, *, release_id: int, dry_run: bool = False) -> Document:
        """Pin a release on one board; `dry_run` says what that would change."""
        return self._pin({"device_uuid": device_uuid}, release_id, dry_run)

    def balena_pin_fleet(self, app_slug: str, *, release_id: int, dry_run: bool = False) -> Document:
        """Pin a release on a whole fleet, but for boards with a pin of their own; `dry_run` as for a board."""
        return self._pin({"app_slug": app_slug}, release_id, dry_run)

    def balena_logs(self, uuid: str, *, limit: int = 100) -> Document:
        """Return the newest lines of a board, oldest first, `{uuid, lines}`."""
        return self._get_patiently(f"/api/balena/devices/{quote(uuid, safe='')}/logs", WITHIN_S, limit=limit)

    def _pin(self, target: Document, release_id: int, dry_run: bool) -> Document:
        body = target | {"release_id": release_id} | ({"dry_run": True} if dry_run else {})
        return self._send("POST", "/api/balena/deploy", body, timeout_s=WITHIN_S)
