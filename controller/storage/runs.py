"""Which numbers of a session's samples are known: as runs without a gap, few however many samples there are."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from controller.storage.database import Connection

_MEANT = "device_id = ? AND session = ?"
_TOUCHED = (
    f"SELECT low, high, until FROM telemetry_runs WHERE {_MEANT} AND low <= ? AND low >= "  # noqa: S608 - our own words
    f"coalesce((SELECT max(low) FROM telemetry_runs WHERE {_MEANT} AND low <= ?), ?) ORDER BY low"
)
_EXTEND = (
    f"UPDATE telemetry_runs SET high = ?, until = max(until, ?) WHERE {_MEANT} AND high = ? "  # noqa: S608 - same
    f"AND low = (SELECT max(low) FROM telemetry_runs WHERE {_MEANT} AND low <= ?)"
)
_REMOVE = f"DELETE FROM telemetry_runs WHERE {_MEANT} AND low = ?"  # noqa: S608 - same
_ADD = "INSERT INTO telemetry_runs (device_id, session, low, high, until) VALUES (?, ?, ?, ?, ?)"

Session = tuple[str, str]
"""A device, and which of its runs since it was switched on."""


class Run(NamedTuple):
    """Numbers that follow each other; of these samples the newest was taken at a time (Unix s)."""

    low: int
    high: int
    until: float


def touched(connection: Connection, session: Session, first: int, last: int) -> list[Run]:
    """Return the runs with a number from `first` to `last` or beside these, and the one before them, lowest first."""
    rows = connection.execute(_TOUCHED, [*session, last + 1, *session, first, first])
    return [Run(*row) for row in rows.fetchall()]


def within(runs: Sequence[Run], number: int) -> bool:
    """Return whether one of `runs`, lowest first, has a number."""
    at = bisect_right(runs, number, key=lambda run: run.low)
    return at > 0 and number <= runs[at - 1].high


def joined(runs: Iterable[Run]) -> list[Run]:
    """Return runs of the same numbers, lowest first, between any two of which one is missing."""
    found: list[Run] = []
    for run in sorted(runs):
        if found and run.low <= found[-1].high + 1:
            low, high, until = found[-1]
            found[-1] = Run(low, max(high, run.high), max(until, run.until))
        else:
            found.append(run)
    return found


def extend(connection: Connection, session: Session, added: Run) -> bool:
    """Let `added` belong to the run that ends right before it; return False where there is none, or it meets another.

    That is how nearly all samples come.
    """
    given = [added.high, added.until, *session, added.low - 1, *session, added.high + 1]
    return connection.execute(_EXTEND, given).rowcount > 0


def add(connection: Connection, session: Session, before: Sequence[Run], added: Iterable[Run]) -> None:
    """Let a session, of which `before` are the runs that were touched, have the numbers of `added`, too."""
    after = joined([*before, *added])
    gone, come = set(before).difference(after), set(after).difference(before)
    connection.executemany(_REMOVE, [(*session, run.low) for run in gone])
    connection.executemany(_ADD, [(*session, *run) for run in sorted(come)])
