"""The part of the REST client that speaks of rollouts: plan, make, watch, steer."""

from abc import ABC, abstractmethod
from typing import Any
from urllib.parse import quote

Document = dict[str, Any]

PLANNING_S = 60.0
"""How long the controller may take to ask the gate about a whole fleet."""


class Rollouts(ABC):
    """Methods of `controller.client.Client`, which knows how to ask."""

    @abstractmethod
    def _get(self, path: str, **params: Any) -> Document: ...

    @abstractmethod
    def _send(self, method: str, path: str, body: Any = None, *, timeout_s: float | None = None) -> Document: ...

    def plan_rollout(self, model: str, **asked: Any) -> Document:
        """Return what a rollout would do, `{allowed, refusal, plan}`; `asked` are the fields of the path's body."""
        body = {"model_name": model, **asked, "dry_run": True}
        return self._send("POST", "/api/rollouts", body, timeout_s=PLANNING_S)

    def make_rollout(self, model: str, **asked: Any) -> Document:
        """Make a rollout, `{rollout_id, rollout, watch}`; `asked` are the fields of the path's body.

        Raises `RefusedError` with the `plan` among its facts when the gate refuses some of its devices.
        """
        return self._send("POST", "/api/rollouts", {"model_name": model, **asked}, timeout_s=PLANNING_S)

    def rollouts(self, *, open_only: bool = False, limit: int = 100, offset: int = 0, **sought: str) -> Document:
        """Return one page of rollouts, newest first, `{total, rollouts}`; `sought` is any of phase, q, sort."""
        return self._get("/api/rollouts", open="true" if open_only else "", limit=limit, offset=offset, **sought)

    def rollout(
        self, rollout_id: str, *, standing: str = "", wave: int | None = None, limit: int = 100, offset: int = 0
    ) -> Document:
        """Return a rollout and one page of its devices, failures first, `{rollout, total, devices}`."""
        return self._get(_path(rollout_id), standing=standing, wave=wave, limit=limit, offset=offset)

    def pause_rollout(self, rollout_id: str, *, reason: str = "") -> Document:
        """Let no further device begin."""
        return self._send("POST", f"{_path(rollout_id)}/pause", {"reason": reason})

    def resume_rollout(self, rollout_id: str) -> Document:
        """Let it go on; what went wrong so far no longer counts against it."""
        return self._send("POST", f"{_path(rollout_id)}/resume")

    def abort_rollout(self, rollout_id: str, *, reason: str = "", roll_back: bool = False) -> Document:
        """End it; devices that are done keep the model unless `roll_back`."""
        return self._send("POST", f"{_path(rollout_id)}/abort", {"reason": reason, "roll_back": roll_back})

    def retry_rollout(self, rollout_id: str) -> Document:
        """Let devices that failed try again; the answer's rollout is another one when this has ended."""
        return self._send("POST", f"{_path(rollout_id)}/retry")


def _path(rollout_id: str) -> str:
    return f"/api/rollouts/{quote(rollout_id, safe='')}"
