"""How much a count rose within the last ten minutes; without a full window nothing is said."""

from dataclasses import dataclass, field

from controller.alerts.quantities import RISE_S

SPACING_S = 10.0


@dataclass(slots=True)
class Rises:
    """Keeps when each count became what; what a restart forgets is not known for ten minutes, which is not zero.

    There is a count of each device, and most stand still: that is one entry.
    """

    _became: dict[str, tuple[tuple[float, int], ...]] = field(default_factory=dict)

    def rise(self, name: str, total: int, at: float) -> float | None:
        """Return how much `name` rose, None before it was watched for long enough."""
        known = before = self._became.get(name, ())
        if known and known[-1][0] > at:  # the clock was set back
            known = ()
        if not known or (total != known[-1][1] and at - known[-1][0] >= SPACING_S):
            known = (*known, (at, total))
        while len(known) > 1 and known[1][0] <= at - RISE_S:
            known = known[1:]
        if known is not before:
            self._became[name] = known
        began_at, began = known[0]
        return float(max(0, total - began)) if at - began_at >= RISE_S else None
