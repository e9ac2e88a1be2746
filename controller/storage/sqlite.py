"""The database in a file, by Python's own sqlite3; its migrations are those of sqlite-utils.

sqlite-utils is loaded without pandas, which it would load where it is installed: 0.4 s and 59 MB at each start. It
needs pandas only to guess the types of a data frame's columns, which nobody here stores.
"""

import fcntl
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from broker.errors import StorageError
from controller.storage.upgrade import Upgraded, bring_up, refuse_newer

_modules: dict[str, Any] = sys.modules
_hidden = "pandas" not in _modules
if _hidden:
    _modules["pandas"] = None
try:
    from sqlite_utils import Database
    from sqlite_utils import Migrations as _Migrations
finally:
    if _hidden:
        del _modules["pandas"]

__all__ = ["Database", "Migrations", "SQLiteConnection", "connect"]

sqlite3.register_adapter(type(None), dict[None, None]().get)
sqlite3.register_adapter(bool, int)
"""What they are bound as anyway; without a word of it sqlite3 asks each value for another way, for 1 µs."""


ACTIVE_LOCK = "active.lock"
"""The file beside the database that the active controller holds."""

FREE_SHARE = 0.25
FREE_PAGES = 2_500
PAGES_AT_ONCE = 250
"""New rows take free pages first. What is more than a quarter of the file, and 10 MB, goes back, 1 MB at a time."""

_RIGHTS = ("database_readonly", "check the rights of the data folder and whether its disk is mounted to be written")
_DAMAGED = ("database_damaged", "restore a backup: docs/how-to/production.md says how")
_BUSY = ("database_busy", "another program holds the file: end it")
_REASONS = {
    sqlite3.SQLITE_FULL: ("disk_full", "free some disk space"),
    sqlite3.SQLITE_IOERR: ("disk_failed", "the disk does not do what it is told: the kernel's log says more"),
    **dict.fromkeys((sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN), _RIGHTS),
    **dict.fromkeys((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB), _DAMAGED),
    **dict.fromkeys((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED), _BUSY),
}
"""By the kind of SQLite's error its code here, and what to do."""


CACHE_KB = 16_384
"""The inner pages of large tables stay in memory: SQLite's own 2 MB do not hold what a batch of samples changes."""

LOG_PAGES = 16_000
"""64 MB: what a commit may find in the log before it copies some into the file itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a database is on disk, and how much of that holds rows."""

    bytes: int
    used_bytes: int


class Migrations(_Migrations):
    """Steps of the schema, applied in order and never twice."""

    @property
    def steps(self) -> list[tuple[str, Callable[[Any], None]]]:
        """The name of each step, and what it does."""
        return [(step.name, step.fn) for step in self._migrations]

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each step, in order."""
        return tuple(step.name for step in self._migrations)


class SQLiteConnection(sqlite3.Connection):
    """A connection to a file, or to memory."""

    errors: type[Exception] = sqlite3.Error
    lost = False
    path: Path | None = None
    _lock: IO[bytes] | None = None

    def take(self) -> bool:
        """Hold the file for this connection, among those that ask; return False while another one does."""
        if self.path is None or self._lock is not None:
            return True
        lock = self.path.with_name(ACTIVE_LOCK).open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._lock = lock
        return True

    def close(self) -> None:
        """End the connection, and what it held."""
        super().close()
        if self._lock is not None:
            self._lock.close()

    def begin(self) -> None:
        """Begin a transaction that writes; others wait for its end."""
        self.execute("BEGIN IMMEDIATE")

    def migrate(self, migrations: Migrations) -> Upgraded | None:
        """Bring the tables up to date, and return what that took where there were data. Raises StorageError."""
        refuse_newer(self, migrations.name, migrations.names)
        self.execute("PRAGMA auto_vacuum=INCREMENTAL")  # means something in a new database only
        self.execute("PRAGMA journal_mode=WAL")
        return bring_up(self, migrations.name, migrations.names, lambda: migrations.apply(Database(self)))

    def size(self) -> Size:
        """Return how large the database is."""
        pages, free, page_bytes = (self._number(name) for name in ("page_count", "freelist_count", "page_size"))
        return Size(bytes=pages * page_bytes, used_bytes=(pages - free) * page_bytes)

    def shrink(self) -> None:
        """Give some space that is free for long back to the disk, so little that nobody waits."""
        if self._number("freelist_count") > max(self._number("page_count") * FREE_SHARE, FREE_PAGES):
            for _ in range(PAGES_AT_ONCE):  # its rows have no columns, and sqlite3 steps over only one of those
                self.execute("PRAGMA incremental_vacuum(1)")

    def spread_writes(self) -> None:
        """Let the log grow, because `write_back` copies it into the file; what is left over a commit copies."""
        self.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")

    def write_back(self) -> None:
        """Copy what is committed from the log into the file, beside whoever writes; meant for another thread."""
        if self.path is not None:
            with closing(sqlite3.connect(self.path)) as beside:
                beside.execute("PRAGMA wal_checkpoint(PASSIVE)")

    @contextmanager
    def beside(self) -> Iterator[sqlite3.Connection]:
        """Give a connection for another thread: to tables in memory, and to what is committed in the file, to read.

        Raises StorageError.
        """
        file = Path(self.path or "").absolute().as_uri()
        try:
            with closing(sqlite3.connect(self._made, uri=True, check_same_thread=False, isolation_level=None)) as other:
                for pragma in ("journal_mode=OFF", "temp_store=MEMORY"):
                    other.execute(f"PRAGMA {pragma}")
                other.execute("ATTACH ? AS committed", [f"{file}?mode=ro&vfs=unix"])
                yield other
        except sqlite3.Error as error:
            raise _not_done("read", error) from error

    @contextmanager
    def with_made(self) -> Iterator[None]:
        """Have as `made` the tables in memory of `beside`; around a transaction, while no thread uses them."""
        self.execute("ATTACH ? AS made", [self._made])
        try:
            yield
        finally:
            self.execute("DETACH made")

    @property
    def _made(self) -> str:
        return f"file:/made-{id(self)}?vfs=memdb"

    def _number(self, pragma: str) -> int:
        return int(self.execute(f"PRAGMA {pragma}").fetchone()[0])

    def json_text(self, column: str, name: str) -> str:
        """Return SQL for a text in the document in `column`, NULL where it has none."""
        return f"json_extract({column}, '$.{name}')"

    def json_list(self, column: str, names: Sequence[str]) -> str:
        """Return SQL for the JSON list of these fields of the document in `column`, null for what is absent."""
        return f"json_array({', '.join(self.json_text(column, name) for name in names)})"


def not_written(error: Exception) -> StorageError:
    """Return why a file could not be written, as something that a person can act on."""
    return _not_done("written", error)


def _not_done(what: str, error: Exception) -> StorageError:
    code, hint = _REASONS.get((getattr(error, "sqlite_errorcode", None) or 0) & 0xFF, ("database_failed", ""))
    return StorageError(f"the database could not be {what}: {error}", code=code, hint=hint)


def connect(path: Path | None) -> SQLiteConnection:
    """Open `path`, in memory for None. Raises StorageError."""
    try:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        # A test's web client calls from another thread than the one that opened it, never at the same time.
        connection = sqlite3.connect(
            path or ":memory:", uri=True, check_same_thread=False, isolation_level=None, factory=SQLiteConnection
        )
        connection.path = path
        for pragma in ("synchronous=NORMAL", "busy_timeout=5000", "temp_store=MEMORY", f"cache_size=-{CACHE_KB}"):
            connection.execute(f"PRAGMA {pragma}")
    except (sqlite3.Error, OSError) as error:
        raise StorageError(
            f"cannot open the database {path}: {error}", hint="check the folder's rights and free space"
        ) from error
    return connection
