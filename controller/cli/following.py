"""Waiting for what was begun, by asking the controller until it has ended."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from broker.phases import TERMINAL
from controller.client import Client

LOOK_EVERY_S = 0.3
Document = dict[str, Any]
_JOB_ENDED = frozenset({"done", "failed", "cancelled"})
_ENDED = frozenset(str(phase) for phase in TERMINAL)


def deployment_ends(
    client: Client, ids: Sequence[str], within_s: float, moved: Callable[[Document], None]
) -> tuple[list[Document], bool]:
    """Follow the deployments `ids`, telling `moved` of each new phase, and of what it waits for.

    Returns them as they stand and whether all ended; False when `within_s` were over first.
    """
    ends_at = time.monotonic() + within_s
    latest: dict[str, Document] = {}
    while True:
        for each in ids:
            before = latest.get(each, {})
            if not before.get("terminal"):
                latest[each] = now = client.deployment(each)["deployment"]
                if any(now.get(fact) != before.get(fact) for fact in ("phase", "attempt", "reason")):
                    moved(now)
        if all(each["terminal"] for each in latest.values()):
            return list(latest.values()), True
        if time.monotonic() >= ends_at:
            return list(latest.values()), False
        time.sleep(LOOK_EVERY_S)


def rollout_end(
    client: Client, rollout_id: str, within_s: float, moved: Callable[[Document], None]
) -> tuple[Document, bool]:
    """Follow a rollout, telling `moved` whenever it got further.

    Returns it as it stands and whether it ended or stopped because something went wrong; False when `within_s` were
    over first.
    """
    ends_at = time.monotonic() + within_s
    before: Document = {}
    while True:
        now = client.rollout(rollout_id, limit=0)["rollout"]
        if any(now[fact] != before.get(fact) for fact in ("phase", "reason", "wave", "counts", "waves")):
            moved(now)
        if now["terminal"] or (now["phase"] == "paused" and now["code"] == "breach"):
            return now, True
        if time.monotonic() >= ends_at:
            return now, False
        before = now
        time.sleep(LOOK_EVERY_S)


def job_end(client: Client, job_id: str, told: Callable[[Document], None]) -> Document:
    """Return a job of the workshop as it ended, telling `told` how it stands until then; its own limit ends it."""
    while True:
        job: Document = client.job(job_id)["job"]
        told(job)
        if job["state"] in _JOB_ENDED:
            return job
        time.sleep(LOOK_EVERY_S)


def command_end(client: Client, command_id: str, within_s: float) -> Document | None:
    """Return the command as it ended, or None when `within_s` were over first."""
    ends_at = time.monotonic() + within_s
    while True:
        command: Document = client.command_state(command_id)["command"]
        if command["state"] in _ENDED:
            return command
        if time.monotonic() >= ends_at:
            return None
        time.sleep(LOOK_EVERY_S)
