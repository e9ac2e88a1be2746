"""Reads the audited stream: by pages that stay put while events are added, or whole."""

from collections.abc import Iterator
from typing import Any

from broker.errors import InvalidError
from controller.logs import Sought
from controller.storage.store import Row, Store

AT_ONCE = 500
"""Events read in one go where the whole stream is wanted."""

SEARCHED = 50_000
"""Events read for one page where words are looked for: the controller has other things to do."""

KEPT_LOG_LINES = 1_000
"""Lines of one device's own log that are kept."""

LARGEST_ID = 2**63 - 1


class Stream:
    """Events are numbered in the order in which they were written, and no number is ever used twice."""

    def __init__(self, store: Store) -> None:
        """Read from `store`."""
        self._store = store

    def page(self, sought: Sought, limit: int, cursor: str = "") -> tuple[list[Row], str | None]:
        """Return events, newest first, and the cursor of the page after; None on the last one.

        Where words are looked for, a page may have few events or none, and another page after it: no more than
        `SEARCHED` are read for one. Raises InvalidError for a cursor that is none.
        """
        before = _number(cursor, "cursor") if cursor else LARGEST_ID
        last = self._looked_at(before) if sought.words else 0
        rows = self._read(sought, f"id < {before} AND id > {last}", "DESC", limit + 1)
        page = rows[:limit]
        if len(rows) > limit:
            return page, str(page[-1]["id"])
        return page, str(last + 1) if last else None

    def after(self, sought: Sought, limit: int, event_id: str) -> list[Row]:
        """Return the events that came after one, oldest first. Raises InvalidError."""
        return self._read(sought, f"id > {_number(event_id, 'after')}", "ASC", limit)

    def whole(self, sought: Sought) -> Iterator[list[Row]]:
        """Yield every event that is there now, newest first, some hundred at a time."""
        cursor: str | None = str(self._store.newest_event() + 1)
        while cursor is not None:
            rows, cursor = self.page(sought, AT_ONCE, cursor)
            yield rows

    def span(self, sought: Sought) -> tuple[float | None, float | None]:
        """Return when the first and the last of the events happened, Unix s."""
        where, arguments = sought.where(self._store.connection.json_text)
        sql = f"SELECT min(at) AS first, max(at) AS last FROM events WHERE {where}"  # noqa: S608 - fixed names
        (row,) = self._store.query(sql, arguments)
        return row["first"], row["last"]

    def count(self) -> int:
        """Return how many events there are."""
        return int(self._store.query("SELECT count(*) AS n FROM events")[0]["n"])

    def trim_log(self, device_id: str) -> None:
        """Forget all but the newest lines of a device's own log."""
        self._store.connection.execute(
            "DELETE FROM events WHERE kind = 'log' AND device_id = ? AND id <= (SELECT id FROM events "
            "WHERE kind = 'log' AND device_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
            [device_id, device_id, KEPT_LOG_LINES],
        )

    def _looked_at(self, before: int) -> int:
        """Return the event after which words are looked for, 0 for all of them."""
        sql = "SELECT id FROM events WHERE id < ? ORDER BY id DESC LIMIT 1 OFFSET ?"
        return next((int(row["id"]) for row in self._store.query(sql, [before, SEARCHED])), 0)

    def _read(self, sought: Sought, bound: str, order: str, limit: int) -> list[Row]:
        where, arguments = sought.where(self._store.connection.json_text)
        # A short time in a long log is found by its index; the order of the numbers would be that of the whole log.
        by = "+id" if sought.since is not None and sought.until is not None else "id"
        sql = f"SELECT * FROM events WHERE {bound} AND {where} ORDER BY {by} {order} LIMIT ?"  # noqa: S608 - fixed names
        return self._store.query(sql, [*arguments, limit])


def _number(text: Any, field: str) -> int:
    if not str(text).isdecimal() or int(text) > LARGEST_ID:
        raise InvalidError(f"{field} '{str(text)[:40]}' is none of ours", hint="take it from an answer", field=field)
    return int(text)
