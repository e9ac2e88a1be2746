"""The life of a deployment: its states, who owns each, and which may follow which."""

from enum import StrEnum


class Phase(StrEnum):
    """One state of a deployment; the same word on the wire, in REST, the CLI and the dashboard."""

    REQUESTED = "requested"
    PREDICTED = "predicted"
    GATED = "gated"
    REFUSED = "refused"
    RESOLVING = "resolving"
    READY = "ready"
    QUEUED = "queued"
    SENT = "sent"
    TIMED_OUT = "timed_out"
    ACCEPTED = "accepted"
    WAITING = "waiting"
    DOWNLOADING = "downloading"
    VERIFYING = "verifying"
    STAGED = "staged"
    LOADING = "loading"
    PROBING = "probing"
    ACTIVE = "active"
    SOAKING = "soaking"
    ROLLING_BACK = "rolling_back"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    ROLLED_BACK = "rolled_back"
    ROLLBACK_FAILED = "rollback_failed"


P = Phase

TERMINAL = frozenset(
    {
        P.REFUSED,
        P.TIMED_OUT,
        P.SUCCEEDED,
        P.FAILED,
        P.REJECTED,
        P.CANCELLED,
        P.SUPERSEDED,
        P.EXPIRED,
        P.ROLLED_BACK,
        P.ROLLBACK_FAILED,
    }
)

CONTROLLER_OWNED = frozenset({P.REQUESTED, P.PREDICTED, P.GATED, P.RESOLVING, P.READY, P.QUEUED, P.SENT})
DEVICE_STEPS = (
    P.ACCEPTED,
    P.WAITING,
    P.DOWNLOADING,
    P.VERIFYING,
    P.STAGED,
    P.LOADING,
    P.PROBING,
    P.ACTIVE,
    P.SOAKING,
    P.ROLLING_BACK,
)
DEVICE_OWNED = frozenset(DEVICE_STEPS)

_ENDS_ANYWHERE = {P.FAILED, P.REJECTED, P.CANCELLED, P.SUPERSEDED, P.EXPIRED}
_ROLLS_BACK = {P.ROLLING_BACK}

# What the owner of a state does next. A device step may also begin again (a reboot raises `attempt`).
NEXT: dict[Phase, frozenset[Phase]] = {
    P.REQUESTED: frozenset({P.PREDICTED, P.FAILED, P.CANCELLED}),
    P.PREDICTED: frozenset({P.GATED, P.REFUSED, P.FAILED}),
    P.GATED: frozenset({P.RESOLVING, P.REFUSED, P.FAILED}),
    P.RESOLVING: frozenset({P.READY, P.REFUSED, P.FAILED, P.CANCELLED}),
    P.READY: frozenset({P.QUEUED, P.FAILED}),
    P.QUEUED: frozenset({P.SENT, P.CANCELLED, P.SUPERSEDED, P.EXPIRED, P.TIMED_OUT}),
    P.SENT: frozenset({P.ACCEPTED, P.TIMED_OUT, *_ENDS_ANYWHERE}),
    P.ACCEPTED: frozenset({P.WAITING, P.DOWNLOADING, *_ENDS_ANYWHERE}),
    P.WAITING: frozenset({P.DOWNLOADING, P.LOADING, *_ENDS_ANYWHERE}),
    P.DOWNLOADING: frozenset({P.VERIFYING, P.WAITING, *_ENDS_ANYWHERE}),
    P.VERIFYING: frozenset({P.STAGED, P.DOWNLOADING, *_ENDS_ANYWHERE}),
    P.STAGED: frozenset({P.LOADING, P.WAITING, *_ENDS_ANYWHERE}),
    P.LOADING: frozenset({P.PROBING, *_ROLLS_BACK, *_ENDS_ANYWHERE}),
    P.PROBING: frozenset({P.ACTIVE, *_ROLLS_BACK, *_ENDS_ANYWHERE}),
    P.ACTIVE: frozenset({P.SOAKING, P.SUCCEEDED, *_ROLLS_BACK, *_ENDS_ANYWHERE}),
    P.SOAKING: frozenset({P.SUCCEEDED, *_ROLLS_BACK, *_ENDS_ANYWHERE}),
    P.ROLLING_BACK: frozenset({P.ROLLED_BACK, P.ROLLBACK_FAILED}),
    **{ended: frozenset() for ended in TERMINAL},
}
