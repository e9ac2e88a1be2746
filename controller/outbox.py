"""What waits to be published: written in the transaction that decided it, sent until a device has heard it."""

from controller.storage.store import Row, Store

FIRST_RETRY_S = 15.0
LAST_RETRY_S = 600.0


class Outbox:
    """Commands and retained documents on their way to the broker."""

    def __init__(self, store: Store, *, first_retry_s: float = FIRST_RETRY_S) -> None:
        """Keep them in `store`; what was not answered goes out again after `first_retry_s`, doubling."""
        self._store = store
        self.first_retry_s = first_retry_s

    def put(
        self,
        *,
        device_id: str,
        command_id: str,
        topic: str,
        payload: bytes,
        at: float,
        retain: bool = False,
        expires_at: float | None = None,
    ) -> None:
        """Queue `payload`; a newer retained document replaces one that still waits."""
        if retain:
            self._store.connection.execute(
                "DELETE FROM outbox WHERE device_id = ? AND topic = ? AND retain = 1", [device_id, topic]
            )
        self._store.connection.execute(
            "INSERT INTO outbox (device_id, command_id, topic, payload, retain, tries, next_at, expires_at) "
            "VALUES (?, ?, ?, ?, ?, 0, ?, ?)",
            [device_id, command_id, topic, payload, retain, at, expires_at],
        )

    def due(self, at: float, *, limit: int = 500) -> list[Row]:
        """Return what may be sent now, oldest first: retained documents, and commands whose device is online."""
        return self._store.query(
            "SELECT outbox.* FROM outbox LEFT JOIN devices ON devices.id = outbox.device_id "
            "WHERE next_at <= ? AND (retain = 1 OR devices.online = 1) ORDER BY outbox.id LIMIT ?",
            [at, limit],
        )

    def sent(self, row: Row, at: float) -> None:
        """Note that `row` goes out: a retained document is done with it, a command comes again until it is heard."""
        if row["retain"]:
            self._store.connection.execute("DELETE FROM outbox WHERE id = ?", [row["id"]])
            return
        wait_s = min(LAST_RETRY_S, self.first_retry_s * 2 ** row["tries"])
        self._store.connection.execute(
            "UPDATE outbox SET tries = tries + 1, next_at = ? WHERE id = ?", [at + wait_s, row["id"]]
        )

    def heard(self, device_id: str, command_id: str) -> None:
        """Stop sending a command: the device has it, or it is over."""
        self._store.connection.execute(
            "DELETE FROM outbox WHERE device_id = ? AND command_id = ? AND retain = 0", [device_id, command_id]
        )

    def taken(self, device_id: str, command_id: str, until: float) -> None:
        """Keep asking until `until` how a command ends that its device has begun."""
        self._store.connection.execute(
            "UPDATE outbox SET expires_at = ? WHERE device_id = ? AND command_id = ? AND retain = 0 AND expires_at < ?",
            [until, device_id, command_id, until],
        )

    def holds(self, device_id: str, command_id: str) -> bool:
        """Return whether a command waits to be sent, or to be answered."""
        sql = "SELECT 1 FROM outbox WHERE device_id = ? AND command_id = ? AND retain = 0"
        return bool(self._store.query(sql, [device_id, command_id]))

    def wake(self, device_id: str, at: float) -> None:
        """Send what waits for a device at once: it has just come online."""
        self._store.connection.execute("UPDATE outbox SET next_at = ? WHERE device_id = ?", [at, device_id])

    def wake_all(self, at: float) -> None:
        """Send everything at once: the controller has just started, or the broker is back."""
        self._store.connection.execute("UPDATE outbox SET next_at = ? WHERE next_at > ?", [at, at])

    def hold(self, device_id: str, until: float) -> None:
        """Keep commands for a device that sleeps at least so long."""
        self._store.connection.execute(
            "UPDATE outbox SET expires_at = ? WHERE device_id = ? AND expires_at < ?", [until, device_id, until]
        )

    def expired(self, at: float) -> list[Row]:
        """Take out and return commands that nobody took in time."""
        rows = self._store.query("SELECT * FROM outbox WHERE expires_at <= ?", [at])
        self._store.connection.execute("DELETE FROM outbox WHERE expires_at <= ?", [at])
        return rows

    def next_at(self) -> float | None:
        """Return when the next row is due, if any waits."""
        return self._store.query("SELECT min(next_at) AS at FROM outbox")[0]["at"]  # type: ignore[no-any-return]
