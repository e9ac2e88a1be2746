"""Waiting for what was begun, by asking the controller until it has ended."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from broker.phases import TERMINAL
from controller.client import Client

LOOK_EVERY_S = 0.3
Document = dict[str, Any]
_ENDED = frozenset(str(phase) for phase in TERMINAL)


def deployment_ends(
    client: Client, ids: Sequence[str], within_s: float, moved: Callable[[Document], None]
) -> tuple[list[Document], bool]:
    """Follow the deployments `ids`, telling `moved` of each new phase.

    Returns them as they stand and whether all ended; False when `within_s` were over first.
    """
    ends_at = time.monotonic() + within_s
    latest: dict[str, Document] = {}
    while True:
        for each in ids:
            before = latest.get(each, {})
            if not before.get("terminal"):
                latest[each] = now = client.deployment(each)["deployment"]
                if (now["phase"], now.get("attempt")) != (before.get("phase"), before.get("attempt")):
                    moved(now)
        if all(each["terminal"] for each in latest.values()):
            return list(latest.values()), True
        if time.monotonic() >= ends_at:
            return list(latest.values()), False
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
