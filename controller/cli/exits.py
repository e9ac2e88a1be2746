"""The one place where an outcome becomes an exit code."""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

from broker import interrupt
from broker.errors import (
    AccessError,
    EdgeWattError,
    InvalidError,
    LinkError,
    NotFoundError,
    RefusedError,
    UnreachableError,
    WireError,
)


class Exit(IntEnum):
    """What a program that calls `edgewatt` can tell apart."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    REFUSED = 4
    PARTLY = 5
    UNREACHABLE = 6
    TIMED_OUT = 7
    DENIED = 8
    INTERRUPTED = interrupt.INTERRUPTED


SAYS = {
    Exit.DONE: "done",
    Exit.FAILED: "failed",
    Exit.USAGE: "the command line, or a value in it, makes no sense",
    Exit.NOT_FOUND: "no such device, model or deployment",
    Exit.REFUSED: "refused by the budget gate",
    Exit.PARTLY: "partly failed, or rolled back",
    Exit.UNREACHABLE: "the controller, the broker or balena does not answer",
    Exit.TIMED_OUT: "the time for waiting is over; what was begun goes on",
    Exit.DENIED: "nobody is signed in, the role does not allow it, or it was too much at once",
    Exit.INTERRUPTED: "interrupted with Ctrl-C; what was begun goes on",
}

_BY_KIND: tuple[tuple[tuple[type[EdgeWattError], ...], Exit], ...] = (
    ((NotFoundError,), Exit.NOT_FOUND),
    ((RefusedError,), Exit.REFUSED),
    ((UnreachableError, LinkError), Exit.UNREACHABLE),
    ((InvalidError, WireError), Exit.USAGE),
    ((AccessError,), Exit.DENIED),
)
_BY_PHASE = {
    "succeeded": Exit.DONE,
    "refused": Exit.REFUSED,
    "rolled_back": Exit.PARTLY,
    "timed_out": Exit.TIMED_OUT,
}


def of_error(error: EdgeWattError) -> Exit:
    """Return the exit code that `error` means."""
    return next((code for kinds, code in _BY_KIND if isinstance(error, kinds)), Exit.FAILED)


def of_deployments(phases: Sequence[str], codes: Sequence[str]) -> Exit:
    """Return what ended deployments mean together; `codes` are the reasons of those the device rejected."""
    ends = {_of_deployment(phase, code) for phase, code in zip(phases, codes, strict=True)}
    if len(ends) == 1:
        return ends.pop()
    return Exit.PARTLY if ends else Exit.DONE


def of_rollout(rollout: Mapping[str, Any]) -> Exit:
    """Return what a rollout that has ended, or stopped for a person, means."""
    counts = rollout["counts"]
    bad = any(counts.get(name) for name in ("failed", "breached", "rollback_failed"))
    if rollout["phase"] == "succeeded" and not bad:
        return Exit.DONE
    return Exit.PARTLY if any(counts.get(name) for name in ("done", "rolled_back", "breached")) else Exit.FAILED


def _of_deployment(phase: str, code: str) -> Exit:
    if phase == "rejected" and code in {"over_budget", "no_prediction", "no_format", "local_policy"}:
        return Exit.REFUSED
    return _BY_PHASE.get(phase, Exit.FAILED)
