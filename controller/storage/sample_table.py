"""How the store keeps samples, whichever database it is; the table of a server, which has its keys with each row."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import inf
from typing import Any, Protocol

from controller.storage.database import Connection

Sample = tuple[Any, ...]

REMOVE_OLDEST = """
DELETE FROM {table} WHERE device_id = :device AND ts <= (
    SELECT max(ts) FROM
    (SELECT ts FROM {table} WHERE device_id = :device AND ts < :before ORDER BY ts LIMIT :most) AS oldest
)
"""
"""How some `:most` of the oldest rows of a device go, where they are in one table with their keys."""


class SampleTable(Protocol):
    """How the store keeps samples; every method but the last two is called inside a transaction."""

    def add(self, columns: tuple[str, ...], rows: Sequence[Sample]) -> None:
        """Keep rows of `columns`, each once."""

    def waits(self, device_ids: Iterable[str]) -> bool:
        """Return whether `settle` would have something to do; outside of transactions, too."""

    def settle(self, device_ids: Iterable[str], before: float = inf) -> None:
        """Let all samples of these devices be found, where one that was taken before a time (Unix s) is not."""

    def begin_removal(self, before: float) -> None:
        """Be told that what was taken before a time (Unix s) is to be removed from each device that has some."""

    def remove(self, device_id: str, most: int) -> int:
        """Let the oldest of that, some `most` of a device, be found no more; return how many."""

    def end_removal(self, most: int) -> bool:
        """Remove some `most` of what is found no more; return whether that is all."""

    def hold(self) -> None:
        """Be told that all devices are settled in walks from now on, one after the other."""

    def begin_walk(self) -> list[str]:
        """Return the devices that have something to be settled."""

    def end_walk(self) -> None:
        """Be told that each of these had its turn."""

    def committed(self) -> None:
        """Be told that the transaction ended well."""

    def rolled_back(self, *, part: bool) -> None:
        """Be told that what was done in the transaction, or in a part of it, is undone."""


class Indexed:
    """The table of a server, which writes its keys with each row."""

    def __init__(self, connection: Connection) -> None:
        """Keep them through `connection`."""
        self._connection = connection
        self._before = 0.0

    def add(self, columns: tuple[str, ...], rows: Sequence[Sample]) -> None:
        """Keep rows, each once."""
        self._connection.executemany(insertion(columns) + " ON CONFLICT DO NOTHING", rows)

    def begin_removal(self, before: float) -> None:
        """Note the time."""
        self._before = before

    def remove(self, device_id: str, most: int) -> int:
        """Remove the oldest."""
        wanted = {"device": device_id, "before": self._before, "most": most}
        return self._connection.execute(REMOVE_OLDEST.format(table="telemetry"), wanted).rowcount

    def end_removal(self, most: int) -> bool:  # noqa: ARG002 - however much
        """Return that nothing is left of it."""
        return True

    def waits(self, device_ids: Iterable[str]) -> bool:  # noqa: ARG002 - whoever is asked for
        """Return that nothing waits."""
        return False

    def settle(self, device_ids: Iterable[str], before: float = inf) -> None:
        """Leave it: all is found."""

    def hold(self) -> None:
        """Leave it."""

    def begin_walk(self) -> list[str]:
        """Return nothing: there is nothing to do."""
        return []

    def end_walk(self) -> None:
        """Leave it."""

    def committed(self) -> None:
        """Leave it."""

    def rolled_back(self, *, part: bool) -> None:
        """Leave it."""


@lru_cache
def insertion(columns: tuple[str, ...]) -> str:
    """Return SQL that keeps a row of `columns`."""
    return f"INSERT INTO telemetry ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608 - our own columns
