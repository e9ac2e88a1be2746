"""Notices that wait for their receiver: rows in the database, so that a restart loses none."""

import json
from dataclasses import dataclass, field
from typing import Any

from controller.storage.store import Row, Store

MOST = 5_000
"""Notices that may wait: with more the receiver has been dead for long, and the oldest tell nobody anything."""

GIVEN_UP_S = 86_400.0


@dataclass(slots=True, kw_only=True)
class Notices:
    """The outbox of one receiver; call its writes inside a transaction."""

    store: Store
    sent: int = 0
    failed: int = 0
    lost: int = 0
    fault: str | None = None
    urgent: list[dict[str, Any]] = field(default_factory=list)

    def put(self, payload: dict[str, Any], at: float) -> None:
        """Let a notice wait; drop the oldest beyond `MOST`, counted."""
        self.store.connection.execute(
            "INSERT INTO alert_outbox (at, payload, tries, next_at) VALUES (?, ?, 0, ?)", [at, json.dumps(payload), at]
        )
        self.lost += self._drop("id <= (SELECT max(id) FROM alert_outbox) - ?", MOST)

    def due(self, at: float) -> Row | None:
        """Return the oldest notice, when its time has come: one after the other, in their order."""
        rows = self.store.query("SELECT * FROM alert_outbox ORDER BY id LIMIT 1")
        return rows[0] if rows and rows[0]["next_at"] <= at else None

    def taken(self, row: Row) -> None:
        """Forget a notice that its receiver has."""
        self._drop("id = ?", row["id"])

    def put_off(self, row: Row, until: float, at: float) -> None:
        """Try a notice again later; those of more than a day ago are given up, counted."""
        self.store.connection.execute(
            "UPDATE alert_outbox SET tries = tries + 1, next_at = ? WHERE id = ?", [until, row["id"]]
        )
        self.lost += self._drop("at < ?", at - GIVEN_UP_S)

    def waiting(self) -> int:
        """Return how many wait."""
        return int(self.store.query("SELECT count(*) AS n FROM alert_outbox")[0]["n"])

    def _drop(self, where: str, value: Any) -> int:
        cursor = self.store.connection.execute(f"DELETE FROM alert_outbox WHERE {where}", [value])  # noqa: S608 - fixed text
        return int(cursor.rowcount)
