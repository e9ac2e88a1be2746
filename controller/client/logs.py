"""The part of the REST client that speaks of what happened: pages of events, exports, archive files."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Literal

Document = dict[str, Any]
Form = Literal["csv", "json"]

CLEARING_S = 600.0
"""How long a clearing may take: some million events."""


class Logs(ABC):
    """Methods of `controller.client.Client`, which knows how to ask."""

    @abstractmethod
    def _get(self, path: str, **params: Any) -> Document: ...

    @abstractmethod
    def _send(self, method: str, path: str, body: Any = None, *, timeout_s: float | None = None) -> Document: ...

    @abstractmethod
    def _chunks(self, path: str, **params: Any) -> AbstractContextManager[Iterator[bytes]]: ...

    def logs(self, *, limit: int = 100, cursor: str = "", after: str = "", **sought: Any) -> Document:
        """Return a page of events, `{logs, next_cursor}`, newest first; those since the event `after`, oldest first.

        `sought` is any of kind, device_id, deployment_id, rollout_id, who, q (words), milestones, and the times since,
        until, at: 14:02, 2026-11-25T14:02 (UTC), 90min (ago), or Unix seconds.
        """
        return self._get("/api/logs", limit=limit, cursor=cursor, after=after, **_asked(**sought))

    def log_kinds(self) -> Document:
        """Return the types of events and who causes them, `{kinds, who}`."""
        return self._get("/api/logs/kinds")

    def export_logs(self, form: Form = "json", **sought: Any) -> AbstractContextManager[Iterator[bytes]]:
        """Give the events that `sought` means (as `logs` does) as a file, piece by piece, while the context lasts."""
        return self._chunks("/api/logs/export", format=form, **_asked(**sought))

    def clear_logs(self, *, before: str = "", reason: str = "") -> Document:
        """Move events into an archive file, all or those before a time; `{archived_to, removed, kept_until}`."""
        asked = {"before": before, "reason": reason}
        return self._send("POST", "/api/logs/clear", asked, timeout_s=CLEARING_S)

    def log_archives(self) -> Document:
        """Return what is in the stream and in which archive files the rest is, `{stream, archives}`."""
        return self._get("/api/logs/archives")


def _asked(kind: str = "", **sought: Any) -> dict[str, Any]:
    return {"type": kind, **sought, "milestones": "true" if sought.get("milestones") else ""}
