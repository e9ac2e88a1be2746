"""Which writes were asked for under a key, and what was answered: so that asking twice does a thing once."""

from dataclasses import dataclass

from controller.storage.store import Store

KEPT_S = 86_400.0
"""How long the same key is the same write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """A write that was asked for under the same key; `status` is None while it has no answer."""

    fingerprint: str
    status: int | None
    body: bytes


class Answers:
    """A key is noted before the write begins, so a crash in the middle is known for what it is."""

    def __init__(self, store: Store) -> None:
        """Keep them in `store`."""
        self._store = store

    def begin(self, key: str, fingerprint: str, at: float) -> Earlier | None:
        """Note that a write begins; or return the earlier one of this key, and note nothing. Raises StorageError."""
        with self._store.transaction():
            self._store.connection.execute("DELETE FROM answers WHERE at < ?", [at - KEPT_S])
            rows = self._store.query("SELECT fingerprint, status, body FROM answers WHERE key = ?", [key])
            if rows:
                return Earlier(**rows[0])
            self._store.connection.execute(
                "INSERT INTO answers (key, fingerprint, at, body) VALUES (?, ?, ?, ?)", [key, fingerprint, at, b""]
            )
        return None

    def keep(self, key: str, status: int, body: bytes) -> None:
        """Note what was answered. Raises StorageError."""
        with self._store.transaction():
            self._store.connection.execute("UPDATE answers SET status = ?, body = ? WHERE key = ?", [status, body, key])

    def forget(self, key: str) -> None:
        """Note that nothing was done under a key. Raises StorageError."""
        with self._store.transaction():
            self._store.connection.execute("DELETE FROM answers WHERE key = ?", [key])
