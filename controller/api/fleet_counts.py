"""How many devices have each health, counted once for all who ask at about the same time; for people and figures only.

A count reads an index of all devices, 0.03 to 0.1 s of 100,000, while nothing else is done. In a fleet of more than
`SMALL_FLEET` devices an answer is therefore up to `SHARED_S` old, or as much older that counting takes no more than
`SHARE` of the time: a device that came or left shows that late in `/api/status`, in `/metrics` and at the head of the
dashboard. A smaller fleet is counted anew for each who asks. Nothing that decides asks here.
"""

import time
from dataclasses import dataclass, field

from controller.fleet_list import FleetList

SHARED_S = 2.0
SHARE = 0.02
SMALL_FLEET = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The devices by health, and the samples that are missing over all of them, as they were at a time (Unix s)."""

    at: float
    healths: dict[str, int]
    gaps: int
    took_s: float = 0.0

    @property
    def total(self) -> int:
        """How many devices there are."""
        return sum(self.healths.values())

    def serves(self, now: float) -> bool:
        """Return whether it may be told at `now`; a clock that was set back means no."""
        return self.total > SMALL_FLEET and 0 <= now - self.at < max(SHARED_S, self.took_s / SHARE)


@dataclass(slots=True)
class FleetCounts:
    """Remembers the newest count."""

    _last: Counted | None = field(default=None)

    def look(self, listing: FleetList, now: float) -> Counted:
        """Return the counts at `now`, or those of some seconds before in a large fleet."""
        if self._last is None or not self._last.serves(now):
            began = time.perf_counter()
            healths, gaps = listing.healths_and_gaps(now)
            self._last = Counted(at=now, healths=healths, gaps=gaps, took_s=time.perf_counter() - began)
        return self._last
