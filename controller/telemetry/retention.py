"""Lets telemetry go that is too old, or more than the database may hold: a little at each turn, so nothing waits.

What goes keeps up with what comes whatever the fleet: of many devices each is looked at less often, so that more of it
goes at once, which costs less for each row.
"""

import heapq
import time
from collections import Counter, deque
from collections.abc import Collection
from dataclasses import dataclass, field

from controller.storage.sample_table import REMOVE_OLDEST
from controller.storage.store import Store
from controller.telemetry.rollups import DAY_S, HOUR_S, Rollups

LOOK_EVERY_S = 60.0
LOOK_SHARE = 0.01
"""Looking at all devices takes at most this much of the time: of 100,000 each has its turn every few minutes."""

LOOKED_AT_ONCE = 500
"""Devices that are looked at in one step, in one table or another: some milliseconds."""

AT_ONCE = 1_000
"""Rows that go in one step: one or two milliseconds."""

TURN_EVERY_S, BUDGET_S = 0.1, 0.008
"""While something is due there are turns of so many steps. Writing down what they did takes as long again, and both
together a tenth of the time at most: twice what 20,000 samples a second need, which keep the rest of it busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """A table of telemetry: what one row is called, and how it gives way in a crowded database.

    There `step_s` of the oldest goes at a time, but never the newest `least_s`; None: it goes by age only.
    """

    table: str
    called: str
    step_s: float | None = None
    least_s: float = 0.0


SAMPLES = Detail(table="telemetry_times", called="samples", step_s=600.0, least_s=HOUR_S)
MINUTES = Detail(table="telemetry_minutes", called="sums by minute", step_s=DAY_S, least_s=DAY_S)
HOURS = Detail(table="telemetry_hours", called="sums by hour")

_OLDEST = """
WITH RECURSIVE known (id) AS (
    SELECT min(device_id) FROM {table} WHERE device_id > :after
    UNION ALL
    SELECT (SELECT min(device_id) FROM {table} WHERE device_id > known.id) FROM known WHERE known.id IS NOT NULL
)
SELECT id, (SELECT min(ts) FROM {table} WHERE device_id = known.id) AS oldest_at FROM known WHERE id IS NOT NULL
LIMIT :most
"""
"""The oldest row of each device, forgotten ones too, by two steps in the index for each; of `:most` after one."""


@dataclass(frozen=True, slots=True)
class _Due:
    """What was taken before a time is to go, in one detail, from some devices."""

    detail: Detail
    before: float
    device_ids: list[str]


@dataclass(slots=True)
class _Survey:
    """Finds the oldest row of each device in each table, some devices at a time; that took `took_s` so far."""

    store: Store
    took_s: float = 0.0
    oldest: dict[str, dict[str, float]] = field(default_factory=dict)
    _left: deque[Detail] = field(default_factory=lambda: deque((SAMPLES, MINUTES, HOURS)))
    _after: str = ""

    def go_on(self) -> bool:
        """Look at some more devices; return whether all were looked at."""
        began, most = time.monotonic(), LOOKED_AT_ONCE
        while self._left and most > 0:
            table = self._left[0].table
            rows = self.store.query(_OLDEST.format(table=table), {"after": self._after, "most": most})
            self.oldest.setdefault(table, {}).update((row["id"], row["oldest_at"]) for row in rows)
            if len(rows) < most:
                self._left.popleft()
            self._after = rows[-1]["id"] if len(rows) == most else ""
            most -= len(rows)
        self.took_s += time.monotonic() - began
        return not self._left


@dataclass(slots=True, kw_only=True)
class Retention:
    """What of the telemetry stays, in which detail; less where the database would exceed `max_mb` (10^6 bytes).

    Samples stay for `keep_days` and are summed up meanwhile, sums by minute as long, sums by hour for `hours_days`.
    `oldest_at` (Unix s) is the oldest sample that there is, as far as was looked.
    """

    store: Store
    keep_days: float
    max_mb: float
    hours_days: float = 730.0
    oldest_at: float | None = None
    rollups: Rollups = field(init=False)
    _looked_at: float = 0.0
    _wait_s: float = LOOK_EVERY_S
    _gone_before: float = 0.0
    _survey: _Survey | None = None
    _due: deque[_Due] = field(default_factory=deque)
    _removed: Counter[str] = field(default_factory=Counter)
    _told_at: float = 0.0
    _made_room: bool = False

    def __post_init__(self) -> None:
        """Sum up what is kept, and nothing older."""
        self.rollups = Rollups(store=self.store, raw_days=self.keep_days)

    @property
    def is_due(self) -> bool:
        """Whether there is something to be looked at, or removed, before the next tick."""
        return bool(self._survey or self._due)

    def tick(self, at: float) -> None:
        """Sum up, have a turn, and give some freed space back; inside a transaction."""
        self.rollups.tick(at)
        self.turn(at)
        if not self._due:
            self.store.connection.shrink()
        if self._removed and not 0 <= at - self._told_at < DAY_S:
            self._tell(at)

    def turn(self, at: float) -> None:
        """Look at some devices, remove some of what is due; inside a transaction."""
        ends = time.monotonic() + BUDGET_S
        while self._go_on(at) and time.monotonic() < ends:
            pass

    def _go_on(self, at: float) -> bool:
        """Take a step; return whether there was any to be taken."""
        if self._due:
            self._remove(self._due[0])
        elif self._survey or not 0 <= at - self._looked_at < self._wait_s:
            self._survey = survey = self._survey or _Survey(self.store)
            if survey.go_on():
                self._survey, self._wait_s = None, max(LOOK_EVERY_S, survey.took_s / LOOK_SHARE)
                self._look(at, survey.oldest)
        else:
            return False
        return True

    def _look(self, at: float, oldest_in: dict[str, dict[str, float]]) -> None:
        """Find out from the oldest rows what of whom is due; in a crowded database one detail gives way at a time."""
        full = crowded = self.store.connection.size().used_bytes / 1e6 > self.max_mb
        for detail, days in ((SAMPLES, self.keep_days), (MINUTES, self.keep_days), (HOURS, self.hours_days)):
            oldest = oldest_in[detail.table]
            before = too_old = at - days * DAY_S
            if crowded:
                first_at = first_of(oldest.values())
                before = gives_way(detail, at, first_at, too_old=too_old)
                crowded = not gives_a_step(detail, at, first_at)
            self._due.append(_Due(detail, before, [name for name, ts in oldest.items() if ts < before]))
            if detail is SAMPLES:
                self.oldest_at, self._gone_before = min(oldest.values(), default=None), max(self._gone_before, before)
                self.rollups.raw_days = (at - self._gone_before) / DAY_S  # what is summed up anew is whole
                self.store.samples.begin_removal(before)
        if full and not crowded:
            self._made_room = True  # and the next step follows at once
        else:
            self._looked_at = at

    def _remove(self, due: _Due) -> None:
        """Remove some of what is due first: key by key of each device, then what lies in the order of its arrival."""
        samples = self.store.samples
        if not due.device_ids:
            if due.detail is not SAMPLES or samples.end_removal(AT_ONCE):
                self._due.popleft()
            return
        device_id = due.device_ids[-1]
        if due.detail is SAMPLES:
            gone = samples.remove(device_id, AT_ONCE)
        else:
            wanted = {"device": device_id, "before": due.before, "most": AT_ONCE}
            gone = self.store.connection.execute(REMOVE_OLDEST.format(table=due.detail.table), wanted).rowcount
        self._removed[due.detail.called] += gone
        if gone < AT_ONCE:
            due.device_ids.pop()

    def _tell(self, at: float) -> None:
        why = "older than they are kept"
        if self._made_room:
            why = f"the oldest, because the database was larger than {self.max_mb:,.0f} MB"
        removed = {called: count for called, count in self._removed.items() if count}
        what = ", ".join(f"{count:,} {called}" for called, count in removed.items())
        if removed:
            self.store.add_event(at, "storage", f"{what} of telemetry were removed: {why}", facts={"removed": removed})
            self._told_at, self._made_room = at, False
        self._removed.clear()


def gives_way(detail: Detail, at: float, oldest_at: float | None, *, too_old: float) -> float:
    """Return up to which time (Unix s) rows of `detail` are due in a database that is too large."""
    if oldest_at is None or detail.step_s is None:
        return too_old
    return max(too_old, min(oldest_at + detail.step_s, at - detail.least_s))


def gives_a_step(detail: Detail, at: float, oldest_at: float | None) -> bool:
    """Return whether a whole step of `detail` can give way; where it cannot, the next detail does, too."""
    return oldest_at is not None and detail.step_s is not None and oldest_at + detail.step_s < at - detail.least_s


def first_of(oldest: Collection[float]) -> float | None:
    """Return the oldest; where a few of many devices have much older ones, clocks that were behind, not theirs."""
    return heapq.nsmallest(len(oldest) // 100 + 1, oldest)[-1] if oldest else None
