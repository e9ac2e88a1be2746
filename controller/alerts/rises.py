"""How much a count rose within the last ten minutes; without a full window nothing is said."""

from collections import deque
from dataclasses import dataclass, field

from controller.alerts.quantities import RISE_S

SPACING_S = 10.0


@dataclass(slots=True)
class Rises:
    """Keeps a window of each count; what a restart forgets is not known for ten minutes, which is not zero."""

    _windows: dict[str, deque[tuple[float, int]]] = field(default_factory=dict)

    def rise(self, name: str, total: int, at: float) -> float | None:
        """Return how much `name` rose, None before it was watched for long enough."""
        window = self._windows.setdefault(name, deque())
        if window and window[-1][0] > at:  # the clock was set back
            window.clear()
        if not window or at - window[-1][0] >= SPACING_S:
            window.append((at, total))
        while len(window) > 1 and window[1][0] <= at - RISE_S:
            window.popleft()
        began_at, began = window[0]
        return float(max(0, total - began)) if at - began_at >= RISE_S else None
