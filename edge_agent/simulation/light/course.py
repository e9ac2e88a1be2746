"""When messages of a light fleet are due: evenly, none left out, and how far behind that their sender is; pure."""

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Course:
    """`per_s` messages in a second since `began` (s of any clock); what is late is late, and is never skipped."""

    per_s: float
    began: float
    done: int = 0
    worst_behind_s: float = 0.0
    _before: int = 0

    def due(self, now: float) -> int:
        """Return how many messages should have gone by now and have not."""
        return max(0, int((now - self.began) * self.per_s) - (self.done - self._before))

    def behind_s(self, now: float) -> float:
        """Return for how long the next message is overdue; the worst of it is kept."""
        behind_s = max(0.0, now - self.began - (self.done - self._before) / self.per_s)
        self.worst_behind_s = max(self.worst_behind_s, behind_s)
        return behind_s

    def turn(self, per_s: float, now: float) -> None:
        """Go on at another rate; what is overdue stays overdue."""
        overdue = self.due(now)
        self._before, self.began, self.per_s = self.done, now - overdue / per_s, per_s
