"""Where a device of a rollout stands: the words, what follows what, and what a deployment's end means; pure."""

from collections.abc import Mapping
from enum import StrEnum

from broker.phases import TERMINAL as ENDED
from broker.phases import Phase


class Standing(StrEnum):
    """One device's part of a rollout; the same word in REST, on the command line and in the dashboard."""

    WAITING = "waiting"
    FETCHING = "fetching"
    PROVING = "proving"
    AWAY = "away"
    DONE = "done"
    BREACHED = "breached"
    FAILED = "failed"
    ALREADY = "already"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    TO_ROLL_BACK = "to_roll_back"
    ROLLING_BACK = "rolling_back"
    ROLLBACK_AWAY = "rollback_away"
    ROLLED_BACK = "rolled_back"
    ROLLBACK_FAILED = "rollback_failed"


S = Standing

MEANS: dict[Standing, str] = {
    S.WAITING: "its turn has not come",
    S.FETCHING: "its deployment has begun and may download",
    S.PROVING: "the file is there; it loads, measures and watches it",
    S.AWAY: "it has the deployment before it, but is offline, asleep or waits for a condition of its own; nobody waits",
    S.DONE: "it runs the model, proven",
    S.BREACHED: "it runs the model, but broke a limit of the rollout",
    S.FAILED: "its deployment ended badly",
    S.ALREADY: "it ran the very file before; nothing was sent",
    S.REFUSED: "the gate said no, or it may not take deployments; nothing was sent",
    S.WITHDRAWN: "it does not get the model: the rollout or its deployment was ended first",
    S.TO_ROLL_BACK: "it has the model and is to return to the one before",
    S.ROLLING_BACK: "it was told to return to the model before",
    S.ROLLBACK_AWAY: "it will be told to return when it is back; nobody waits",
    S.ROLLED_BACK: "the model before runs again",
    S.ROLLBACK_FAILED: "it could not return to the model before",
}

_ENDS = {S.DONE, S.BREACHED, S.FAILED, S.REFUSED, S.WITHDRAWN, S.TO_ROLL_BACK}
NEXT_STANDING: dict[Standing, frozenset[Standing]] = {
    S.WAITING: frozenset({S.FETCHING, S.PROVING, S.AWAY, S.ALREADY, *_ENDS}),
    S.FETCHING: frozenset({S.PROVING, S.AWAY, *_ENDS}),
    S.PROVING: frozenset({S.FETCHING, S.AWAY, *_ENDS}),
    S.AWAY: frozenset({S.FETCHING, S.PROVING, *_ENDS}),
    S.DONE: frozenset({S.BREACHED, S.TO_ROLL_BACK}),
    S.BREACHED: frozenset({S.TO_ROLL_BACK}),
    S.FAILED: frozenset({S.WAITING}),
    S.ALREADY: frozenset(),
    S.REFUSED: frozenset(),
    S.WITHDRAWN: frozenset(),
    S.TO_ROLL_BACK: frozenset({S.ROLLING_BACK, S.ROLLBACK_AWAY, S.WITHDRAWN}),
    S.ROLLING_BACK: frozenset({S.ROLLBACK_AWAY, S.ROLLED_BACK, S.ROLLBACK_FAILED}),
    S.ROLLBACK_AWAY: frozenset({S.ROLLING_BACK, S.ROLLED_BACK, S.ROLLBACK_FAILED}),
    S.ROLLED_BACK: frozenset(),
    S.ROLLBACK_FAILED: frozenset(),
}
"""`failed` leads on only where a person asks for another try."""

UNDERWAY = frozenset({S.FETCHING, S.PROVING})
GOOD = frozenset({S.DONE})
BAD = frozenset({S.FAILED, S.BREACHED})
JUDGED = GOOD | BAD
MOVING = frozenset({S.FETCHING, S.PROVING, S.AWAY, S.ROLLING_BACK, S.ROLLBACK_AWAY})
"""Those whose standing follows from what their device does next."""

_FETCHING = frozenset({Phase.REQUESTED, Phase.PREDICTED, Phase.GATED, Phase.RESOLVING, Phase.READY, Phase.QUEUED})
_FETCHING |= {Phase.SENT, Phase.ACCEPTED, Phase.WAITING, Phase.DOWNLOADING, Phase.VERIFYING}
_STANDING_OF_END: Mapping[Phase, Standing] = {
    Phase.SUCCEEDED: S.DONE,
    Phase.REFUSED: S.REFUSED,
    **dict.fromkeys((Phase.CANCELLED, Phase.SUPERSEDED, Phase.EXPIRED), S.WITHDRAWN),
}


def of_deployment(phase: Phase, *, reachable: bool, waits: bool = False) -> Standing:
    """Return where a device stands whose deployment is in `phase`; `waits` for a condition of its own.

    One that was `timed_out` because its device was away all the time says nothing about the model.
    """
    if phase is Phase.TIMED_OUT and not reachable:
        return S.WITHDRAWN
    if phase in ENDED:
        return _STANDING_OF_END.get(phase, S.FAILED)
    if not reachable or waits:
        return S.AWAY
    return S.FETCHING if phase in _FETCHING else S.PROVING
