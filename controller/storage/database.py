"""What the store needs of a database: one connection that speaks SQL, whatever file or server is behind it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from broker.errors import StorageError
from controller.storage import sqlite
from controller.storage.sqlite import Migrations, Size
from controller.storage.upgrade import Upgraded

EVERY = 2**63 - 1
"""The limit of a list that has none."""

VALUE_REFUSED = "value_refused"
"""The code of a StorageError that comes again whenever the same is written."""

Arguments = Sequence[Any] | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Server:
    """Where a PostgreSQL database is, `postgresql://user@host/name`; without a password libpq looks for one itself."""

    url: str
    password: str | None = field(default=None, repr=False)


Place = Path | Server | None
"""A file, a server's database, or nothing but memory."""


class Cursor(Protocol):
    """What a statement gave."""

    @property
    def rowcount(self) -> int:
        """How many rows were written."""

    @property
    def description(self) -> Any:
        """The columns of what was read, each with its name first."""

    def fetchall(self) -> list[Any]:
        """Return the rows that are left, as tuples."""

    def __iter__(self) -> Iterator[Any]:
        """Yield the rows that are left, as tuples."""


class Connection(Protocol):
    """A database's one connection; `?` and `:name` stand for arguments, outside of transactions each statement is one.

    Where two databases say a thing differently, the connection has the words of its own.
    """

    errors: type[Exception]

    @property
    def lost(self) -> bool:
        """Whether it is gone for good."""

    @property
    def in_transaction(self) -> bool:
        """Whether `begin` was called and neither end of it."""

    def execute(self, sql: str, arguments: Arguments = ..., /) -> Cursor:
        """Run one statement."""

    def executemany(self, sql: str, rows: Iterable[Arguments], /) -> object:
        """Run one statement for each of `rows`."""

    def take(self) -> bool:
        """Hold the database until the connection ends; return False while another one does."""

    def begin(self) -> None:
        """Begin a transaction that writes."""

    def migrate(self, migrations: Migrations) -> Upgraded | None:
        """Bring the tables up to date, and return what that took where there were data. Raises StorageError."""

    def size(self) -> Size:
        """Return how large the database is."""

    def shrink(self) -> None:
        """Give some space that is free for long back to the disk, so little that nobody waits."""

    def spread_writes(self) -> None:
        """Be told that `write_back` is called every second or so from now on."""

    def write_back(self) -> None:
        """Bring what is committed to its place, while others write; from a thread of its own. Raises `errors`."""

    def close(self) -> None:
        """End the connection."""

    def json_text(self, column: str, name: str) -> str:
        """Return SQL for a text in the document in `column`, NULL where it has none."""

    def json_list(self, column: str, names: Sequence[str]) -> str:
        """Return SQL for the JSON list of these fields of the document in `column`, null for what is absent."""


class Table(Protocol):
    """A table as a migration describes it."""

    def create(
        self,
        columns: dict[str, Any],
        pk: Any = ...,
        *,
        not_null: Iterable[str] | None = ...,
        defaults: dict[str, Any] | None = ...,
        strict: bool = ...,
    ) -> object:
        """Make it, its columns of `str`, `int`, `float` or `bytes`; an `id` of int as `pk` numbers its rows."""

    def create_index(self, columns: Sequence[str], *, unique: bool = ...) -> object:
        """Let rows be found by `columns`."""

    def add_column(self, col_name: str, col_type: Any = ...) -> object:
        """Add a column that is NULL in the rows that are there."""


class Schema(Protocol):
    """The tables as migrations describe them."""

    def table(self, table_name: str) -> Table:
        """Return a table, which may not be there yet."""

    def execute(self, sql: str) -> object:
        """Run a statement that every database understands."""


def connect(place: Place) -> Connection:
    """Open a database, whose tables may be older than this program. Raises StorageError."""
    if not isinstance(place, Server):
        return sqlite.connect(place)
    try:
        from controller.storage import postgres  # noqa: PLC0415 - only who asks for a server needs its library
    except ImportError:
        raise StorageError(
            "PostgreSQL needs a library that is not installed",
            code="extra_missing",
            hint="pip install 'edgewatt[postgres]'",
        ) from None
    return postgres.connect(place)


@lru_cache
def upsert(table: str, key: tuple[str, ...], columns: tuple[str, ...], changing: tuple[str, ...] = ()) -> str:
    """Return the statement that inserts a row of `columns`, or replaces what the row of the same `key` holds.

    Of that, only what is `changing`, where that is said.
    """
    marks = ", ".join("?" * len(columns))
    rest = ", ".join(f"{name} = excluded.{name}" for name in changing or columns if name not in key)
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) "  # noqa: S608 - our own names
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {rest}"
    )
