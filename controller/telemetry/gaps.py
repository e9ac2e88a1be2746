"""Counts the samples of each device that never came: by session, what is missing between its lowest and highest number.

What is stored says which these are, so neither a restart, nor a batch that comes twice, nor the order changes the
count. A sample that follows the one before it in its session, as nearly all do, is not asked for.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from controller.storage import runs
from controller.storage.runs import Session
from controller.storage.store import Store

MOST_MISSING = 10_000_000
"""A year and a half at a sample in 5 s: numbers that jump further at once are not believed to have been samples."""

ASKED_AT_ONCE = 500

_SPANS = (
    "WITH asked (device_id, session) AS (VALUES {asked}) SELECT device_id, session, "
    "(SELECT min(low) FROM telemetry_runs AS r WHERE r.device_id = asked.device_id AND r.session = asked.session) "
    "AS low, "
    "(SELECT high FROM telemetry_runs AS r WHERE r.device_id = asked.device_id AND r.session = asked.session "
    "ORDER BY low DESC LIMIT 1) AS high "
    "FROM asked"
)


@dataclass(slots=True)
class _Newest:
    """Up to which number a device's session is known without asking."""

    session: str
    seq: int


class Gaps:
    """What is missing more, or less, after the samples that were noted; `settle` comes before they are stored."""

    def __init__(self, store: Store) -> None:
        """Compare with what is in `store`."""
        self._store = store
        self._newest: dict[str, _Newest] = {}
        self._odd: defaultdict[Session, set[int]] = defaultdict(set)
        self._live: dict[str, str] = {}

    def note(self, device_id: str, session: str, seq: int, *, spooled: bool) -> None:
        """Take in the number of a sample."""
        newest = self._newest.get(device_id)
        if newest is not None and newest.seq + 1 == seq and newest.session == session:
            newest.seq = seq
            return
        if "\0" in session:
            return  # not every database has a place for it
        self._odd[device_id, session].add(seq)
        if not spooled:
            self._live[device_id] = session

    def settle(self) -> dict[str, int]:
        """Return by device how many more are missing than before what was noted; a gap that was filled takes away."""
        changes: Counter[str] = Counter()
        newest: dict[str, _Newest] = {}
        self._store.settle(*(device_id for device_id, _ in self._odd))
        spans = self._spans(list(self._odd))
        for (device_id, session), came in self._odd.items():
            last = self._newest.get(device_id)
            span = spans.get((device_id, session))
            if last is not None and last.session == session and span is not None:
                came.update(range(span[1] + 1, last.seq + 1))
            changes[device_id] += missing(span, came, self._stored(device_id, session, span, came))
            if self._live.get(device_id, last.session if last else session) == session:
                newest[device_id] = _Newest(session, max(*came, span[1] if span else 0))
        self._newest |= newest
        self._clear()
        return changes

    def forget(self) -> None:
        """Forget what was noted, and settled: it was rolled back and comes again."""
        self._newest.clear()
        self._clear()

    def _clear(self) -> None:
        self._odd.clear()
        self._live.clear()

    def _spans(self, sessions: Sequence[Session]) -> dict[Session, tuple[int, int]]:
        """Return the lowest and the highest number that is stored of each of `sessions` that has any."""
        found = {}
        for some in _parts(sessions):
            sql = _SPANS.format(asked=", ".join(["(?, ?)"] * len(some)))
            for row in self._store.query(sql, [each for session in some for each in session]):
                if row["low"] is not None:
                    found[row["device_id"], row["session"]] = row["low"], row["high"]
        return found

    def _stored(self, device_id: str, session: str, span: tuple[int, int] | None, came: Collection[int]) -> set[int]:
        """Return which of the numbers that `came` are stored already: only within the span they can be."""
        inside = [seq for seq in came if span is not None and span[0] <= seq <= span[1]]
        if not inside:
            return set()
        known = runs.touched(self._store.connection, (device_id, session), min(inside), max(inside))
        return {seq for seq in inside if runs.within(known, seq)}


def missing(span: tuple[int, int] | None, came: Collection[int], stored: Collection[int]) -> int:
    """Return how many more numbers are missing in a session after `came`, of which some were `stored` before.

    `span` is the lowest and highest number before; what a session had before the first that is known is unknown.
    """
    low, high = min(came), max(came)
    before = 0 if span is None else span[1] - span[0] + 1
    after = high - low + 1 if span is None else max(high, span[1]) - min(low, span[0]) + 1
    return min(after - before - (len(came) - len(stored)), MOST_MISSING)


def _parts(asked: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yield `asked` in parts that one statement can ask for."""
    return (asked[at : at + ASKED_AT_ONCE] for at in range(0, len(asked), ASKED_AT_ONCE))
