"""Which ingest workers there are, in the store: each says that it lives, and a dead one's place is taken by one."""

import json
from dataclasses import dataclass

from controller.storage.store import Store

PREFIX = "worker/"
DEAD_AFTER_S = 10.0


@dataclass(frozen=True, slots=True)
class Places:
    """The names of workers with when each was last alive, Unix s; call it inside a transaction."""

    store: Store

    def beat(self, name: str, at: float) -> None:
        """Note that worker `name` lives."""
        self.store.remember(PREFIX + name, at)

    def forget(self, name: str) -> None:
        """Note that a worker is over, and nothing waits for it."""
        self.store.connection.execute("DELETE FROM remembered WHERE name = ?", [PREFIX + name])

    def take_dead(self, at: float) -> str | None:
        """Return the name of a worker that does not live any more, and is now the caller's to finish."""
        rows = self.store.query("SELECT name, value FROM remembered WHERE name LIKE ? ORDER BY name", [f"{PREFIX}%"])
        for row in rows:
            if at - json.loads(row["value"]) < DEAD_AFTER_S:
                continue
            sql = "UPDATE remembered SET value = ? WHERE name = ? AND value = ?"
            if self.store.connection.execute(sql, [json.dumps(at), row["name"], row["value"]]).rowcount:
                return str(row["name"]).removeprefix(PREFIX)
        return None
