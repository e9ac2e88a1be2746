"""How deployments ended: what counts as a success, as an error, and as neither; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from broker.phases import TERMINAL, Phase

Outcome = Literal["success", "error", "neither"]

OUTCOMES: dict[Phase, tuple[Outcome, str]] = {
    Phase.SUCCEEDED: ("success", "the model runs and was proven on the device"),
    Phase.FAILED: ("error", "it could not be fetched, loaded or run"),
    Phase.ROLLED_BACK: ("error", "it ran, and was over a budget or did not stay up"),
    Phase.ROLLBACK_FAILED: ("error", "neither it nor the model before runs"),
    Phase.TIMED_OUT: ("error", "nothing was heard of it in time"),
    Phase.EXPIRED: ("error", "it was not begun in time"),
    Phase.REJECTED: ("error", "the device would not begin it, after the gate had let it through"),
    Phase.REFUSED: ("neither", "the gate said no, so nothing was tried"),
    Phase.CANCELLED: ("neither", "somebody did not want it any more"),
    Phase.SUPERSEDED: ("neither", "a newer one took its place"),
}
"""What each end counts as in a success rate, and why."""

assert OUTCOMES.keys() == TERMINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Deployments counted by how they ended; those that still move are `open_count`."""

    total: int = 0
    success_count: int = 0
    error_count: int = 0
    neither_count: int = 0
    open_count: int = 0

    @property
    def success_rate(self) -> float | None:
        """Successes among successes and errors, 0 to 1; None before there is one of either."""
        decided = self.success_count + self.error_count
        return self.success_count / decided if decided else None

    @property
    def document(self) -> dict[str, float | int | None]:
        """The same as REST tells it."""
        counts = {"success_count": self.success_count, "error_count": self.error_count}
        counts |= {"neither_count": self.neither_count, "open_count": self.open_count}
        return {"total_deployments": self.total, **counts, "success_rate": self.success_rate}


def tally(phases: Mapping[str, int]) -> Tally:
    """Return how many of the deployments in `phases` (count by phase) ended how."""
    ended = dict.fromkeys(("success", "error", "neither"), 0)
    for phase, (outcome, _) in OUTCOMES.items():
        ended[outcome] += phases.get(phase.value, 0)
    total = sum(phases.values())
    return Tally(
        total=total,
        success_count=ended["success"],
        error_count=ended["error"],
        neither_count=ended["neither"],
        open_count=total - sum(ended.values()),
    )
