"""How many devices have each health, counted once for all who ask at about the same time; for people and figures only.

A count reads every device, 0.1 s of 100,000, while nothing else is done. In a fleet of more than `SMALL_FLEET` devices
an answer is therefore up to `SHARED_S` old: a device that came or left shows that late in `/api/status`, in `/metrics`
and at the head of the dashboard. A smaller fleet is counted anew for each who asks. Nothing that decides asks here.
"""

from dataclasses import dataclass, field

from controller.fleet_list import FleetList

SHARED_S = 2.0
SMALL_FLEET = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The devices by health, and the samples that are missing over all of them, as they were at a time (Unix s)."""

    at: float
    healths: dict[str, int]
    gaps: int

    @property
    def total(self) -> int:
        """How many devices there are."""
        return sum(self.healths.values())

    def serves(self, now: float) -> bool:
        """Return whether it may be told at `now`; a clock that was set back means no."""
        return self.total > SMALL_FLEET and 0 <= now - self.at < SHARED_S


@dataclass(slots=True)
class FleetCounts:
    """Remembers the newest count."""

    _last: Counted | None = field(default=None)

    def look(self, listing: FleetList, now: float) -> Counted:
        """Return the counts at `now`, or those of up to `SHARED_S` before in a large fleet."""
        if self._last is None or not self._last.serves(now):
            healths, gaps = listing.healths_and_gaps(now)
            self._last = Counted(at=now, healths=healths, gaps=gaps)
        return self._last
