"""How long each step of a deployment may go without news, and the whole of it may take; pure."""

from broker.phases import Phase

DEADLINE_S = 86_400.0
"""How long a deployment may take in all while its device is awake."""

PATIENCE_S: dict[Phase, float] = {
    Phase.REQUESTED: 60,
    Phase.PREDICTED: 60,
    Phase.GATED: 60,
    Phase.RESOLVING: 1_800,
    Phase.READY: 60,
    Phase.QUEUED: DEADLINE_S,
    Phase.SENT: 3_600,
    Phase.ACCEPTED: 900,
    Phase.WAITING: DEADLINE_S,
    Phase.DOWNLOADING: 7_200,
    Phase.VERIFYING: 900,
    Phase.STAGED: 900,
    Phase.LOADING: 900,
    Phase.PROBING: 1_800,
    Phase.ACTIVE: 900,
    Phase.SOAKING: DEADLINE_S,
    Phase.ROLLING_BACK: 900,
}
"""How long each step may go without news; any ack begins it anew."""


def span(seconds: float) -> str:
    """Return a duration in the largest unit that keeps it a whole number."""
    for unit, size in (("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
