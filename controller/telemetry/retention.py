"""Lets telemetry go that is too old, or more than the database may hold: a little at each tick, so nothing waits."""

from collections import Counter, deque
from dataclasses import dataclass, field

from controller.storage.store import Store
from controller.telemetry.rollups import DAY_S, HOUR_S, Rollups

LOOK_EVERY_S = 60.0
LOOKED_AT_ONCE = 5_000
"""Devices that are looked at in one tick, in one table or another: 30 ms; of 100,000 all within a minute or two."""

AT_ONCE = 2_000
"""Rows that go in one tick: ten times what a thousand devices say meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """A table of telemetry: what one row is called, and how it gives way in a crowded database.

    There `step_s` of the oldest goes at a time, but never the newest `least_s`; None: it goes by age only.
    """

    table: str
    called: str
    step_s: float | None = None
    least_s: float = 0.0


SAMPLES = Detail(table="telemetry_times", called="samples", step_s=HOUR_S, least_s=HOUR_S)
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

_DELETE = """
DELETE FROM {table} WHERE device_id = :device AND ts <= (
    SELECT max(ts) FROM
    (SELECT ts FROM {table} WHERE device_id = :device AND ts < :before ORDER BY ts LIMIT :most) AS oldest
)
"""
"""How sums go; samples, which have keys, go as the store knows."""


@dataclass(frozen=True, slots=True)
class _Due:
    detail: Detail
    device_id: str
    before: float


@dataclass(slots=True)
class _Survey:
    """Finds the oldest row of each device in each table, some devices at a time."""

    store: Store
    oldest: dict[str, dict[str, float]] = field(default_factory=dict)
    _left: deque[Detail] = field(default_factory=lambda: deque((SAMPLES, MINUTES, HOURS)))
    _after: str = ""

    def go_on(self) -> bool:
        """Look at some more devices; return whether all were looked at."""
        most = LOOKED_AT_ONCE
        while self._left and most > 0:
            table = self._left[0].table
            rows = self.store.query(_OLDEST.format(table=table), {"after": self._after, "most": most})
            self.oldest.setdefault(table, {}).update((row["id"], row["oldest_at"]) for row in rows)
            if len(rows) < most:
                self._left.popleft()
            self._after = rows[-1]["id"] if len(rows) == most else ""
            most -= len(rows)
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
    _gone_before: float = 0.0
    _survey: _Survey | None = None
    _due: deque[_Due] = field(default_factory=deque)
    _removed: Counter[str] = field(default_factory=Counter)
    _told_at: float = 0.0
    _crowded: bool = False

    def __post_init__(self) -> None:
        """Sum up what is kept, and nothing older."""
        self.rollups = Rollups(store=self.store, raw_days=self.keep_days)

    def tick(self, at: float) -> None:
        """Sum up and remove some of what is due, give some freed space back; inside a transaction."""
        self.rollups.tick(at)
        if not self._due and (self._survey or not 0 <= at - self._looked_at < LOOK_EVERY_S):
            self._survey = survey = self._survey or _Survey(self.store)
            if survey.go_on():
                self._survey = None
                self._look(at, survey.oldest)
        left = AT_ONCE
        while self._due and left > 0:
            left -= self._remove(self._due[0], left)
            if left > 0:
                self._due.popleft()
        if not self._due:
            self.store.connection.shrink()
        if self._removed and not 0 <= at - self._told_at < DAY_S:
            self._tell(at)

    def _look(self, at: float, oldest_in: dict[str, dict[str, float]]) -> None:
        """Find out from the oldest rows what of whom is due; in a crowded database one detail gives way at a time."""
        used_mb = self.store.connection.size().used_bytes / 1e6
        self._crowded = crowded = used_mb > self.max_mb
        for detail, days in ((SAMPLES, self.keep_days), (MINUTES, self.keep_days), (HOURS, self.hours_days)):
            oldest = oldest_in[detail.table]
            first_at = min(oldest.values(), default=None)
            too_old = at - days * DAY_S
            before = gives_way(detail, at, first_at, too_old=too_old) if crowded else too_old
            if detail is SAMPLES:
                self.oldest_at, self._gone_before = first_at, max(self._gone_before, before)
                self.rollups.raw_days = (at - self._gone_before) / DAY_S  # what is summed up anew is whole
            crowded = crowded and before == too_old
            self._due.extend(_Due(detail, device, before) for device, ts in oldest.items() if ts < before)
        if not (self._crowded and self._due):  # while it is too large, the next step follows at once
            self._looked_at = at

    def _remove(self, due: _Due, most: int) -> int:
        if due.detail is SAMPLES:
            gone = self.store.samples.remove(due.device_id, due.before, most)
        else:
            wanted = {"device": due.device_id, "before": due.before, "most": most}
            gone = self.store.connection.execute(_DELETE.format(table=due.detail.table), wanted).rowcount
        self._removed[due.detail.called] += gone
        return gone

    def _tell(self, at: float) -> None:
        why = "older than they are kept"
        if self._crowded:
            why = f"the oldest, because the database is larger than {self.max_mb:,.0f} MB"
        removed = {called: count for called, count in self._removed.items() if count}
        what = ", ".join(f"{count:,} {called}" for called, count in removed.items())
        if removed:
            self.store.add_event(at, "storage", f"{what} of telemetry were removed: {why}", facts={"removed": removed})
            self._told_at = at
        self._removed.clear()


def gives_way(detail: Detail, at: float, oldest_at: float | None, *, too_old: float) -> float:
    """Return up to which time (Unix s) rows of `detail` are due in a database that is too large."""
    if oldest_at is None or detail.step_s is None:
        return too_old
    return max(too_old, min(oldest_at + detail.step_s, at - detail.least_s))
