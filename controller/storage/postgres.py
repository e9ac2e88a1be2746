"""The database on a PostgreSQL server, by psycopg; imported only where one is asked for.

A connection that is lost stays lost: what was begun on it is over, and so is the lock that it held. Whoever wants to go
on opens another one and looks at everything anew.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import psycopg
from psycopg.adapt import Loader
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import Int8BinaryDumper
from psycopg.types.string import StrDumperUnknown

from broker.errors import StorageError
from controller.storage.database import VALUE_REFUSED, Arguments, Server
from controller.storage.postgres_schema import PostgresSchema
from controller.storage.sqlite import Migrations, Size
from controller.storage.upgrade import Upgraded

CONNECT_S = 5
STATEMENT_S = 30
LOCK_S = 5
STUCK_S = 30
DEAD_AFTER_S = 6
"""A peer that answers nothing for so long is gone, on either side."""

_SETTINGS = {
    "statement_timeout": f"{STATEMENT_S}s",
    "lock_timeout": f"{LOCK_S}s",
    "idle_in_transaction_session_timeout": f"{STATEMENT_S}s",
    "tcp_keepalives_idle": "3",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": f"{DEAD_AFTER_S}s",
    "client_min_messages": "warning",
}
_SIZE = """
WITH widths AS (
  SELECT schemaname, tablename, sum(avg_width * (1 - null_frac)) AS width FROM pg_stats GROUP BY schemaname, tablename
)
SELECT coalesce(sum(pg_total_relation_size(relid)), 0), coalesce(sum(n_live_tup * (28 + coalesce(width, 0))
  * pg_total_relation_size(relid) / greatest(pg_relation_size(relid), 1)), 0)
FROM pg_stat_user_tables LEFT JOIN widths ON tablename = relname AND widths.schemaname = pg_stat_user_tables.schemaname
WHERE pg_stat_user_tables.schemaname = current_schema()
"""
"""Deleted rows leave their room to new ones, so only what is alive counts: rows times their width, and its indexes."""

_TOKENS = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|::|%|\?|:([a-z_]\w*)""")
_ESCAPES = re.compile(r"\\(?:u0000|(ud[89ab]..\\ud[c-f]..)|(ud[89a-f]..)|(.))", re.IGNORECASE)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_MIGRATING, _ACTING = 0x45646765, 0x45646766
"""Numbers of our locks, in the schema that we use."""


class PostgresConnection:
    """One session of a server, used as a file's connection is."""

    errors: type[Exception] = psycopg.Error

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        """Speak through `connection`, which commits each statement outside of a transaction."""
        self._connection = connection
        connection.adapters.register_dumper(bool, _Truth)
        connection.adapters.register_dumper(str, _Text)
        connection.adapters.register_loader("numeric", _Number)

    @property
    def lost(self) -> bool:
        """Whether the server has gone, or has ended the session."""
        return self._connection.closed

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction was begun and not ended; a lost connection has none."""
        status = self._connection.info.transaction_status
        return status in (TransactionStatus.INTRANS, TransactionStatus.INERROR)

    def execute(self, sql: str, arguments: Arguments = (), /) -> psycopg.Cursor[Any]:
        """Run one statement. Raises StorageError."""
        with said():
            return self._connection.execute(translated(sql), arguments or ())

    def executemany(self, sql: str, rows: Iterable[Arguments], /) -> None:
        """Run one statement for each of `rows`, without waiting for each answer. Raises StorageError."""
        with said(), self._connection.cursor() as cursor:
            cursor.executemany(translated(sql), rows)

    def begin(self) -> None:
        """Begin a transaction. Raises StorageError."""
        self.execute("BEGIN")

    def migrate(self, migrations: Migrations) -> Upgraded | None:
        """Bring the tables up to date, all of it or nothing, one controller at a time. Raises StorageError."""
        with said(), self._connection.transaction():
            self.execute("SELECT pg_advisory_xact_lock(?, hashtext(current_schema()))", [_MIGRATING])
            self.execute('CREATE TABLE IF NOT EXISTS migrations (name TEXT COLLATE "C" PRIMARY KEY, applied_at TEXT)')
            applied = {name for (name,) in self.execute("SELECT name FROM migrations")}
            if newer := applied - set(migrations.names):
                raise _newer(max(newer))
            missing = [(name, step) for name, step in migrations.steps if name not in applied]
            for name, step in missing:
                step(PostgresSchema(self.execute))
                self.execute("INSERT INTO migrations VALUES (?, CAST(now() AS TEXT))", [name])
        return Upgraded(steps=tuple(name for name, _ in missing), copy=None) if applied and missing else None

    def take(self) -> bool:
        """Hold the database for this session, among those that ask; return False while another one does.

        The server ends a session that holds it and says nothing for long: a controller looks at its store every second.
        """
        asked = self.execute("SELECT pg_try_advisory_lock(?, hashtext(current_schema()))", [_ACTING])
        taken = bool(asked.fetchall()[0][0])
        if taken:
            self.execute(f"SET idle_session_timeout = '{STUCK_S}s'")
        return taken

    def size(self) -> Size:
        """Return how large the tables are; what of that holds rows is known as well as the server's statistics are."""
        [(whole, used)] = self.execute(_SIZE).fetchall()
        return Size(bytes=int(whole), used_bytes=min(int(whole), int(used)))

    def shrink(self) -> None:
        """Leave freed space to the server, which uses it again."""

    def spread_writes(self) -> None:
        """Leave it to the server, which does so anyway."""

    def write_back(self) -> None:
        """Leave it to the server, which has processes for that."""

    def close(self) -> None:
        """End the session."""
        self._connection.close()

    def json_text(self, column: str, name: str) -> str:
        """Return SQL for a text in the document in `column`, NULL where it has none."""
        return f"(CAST({column} AS json) ->> '{name}')"

    def json_list(self, column: str, names: Sequence[str]) -> str:
        """Return SQL for the JSON list of these fields of the document in `column`, null for what is absent."""
        fields = ", ".join(f"CAST({column} AS json) -> '{name}'" for name in names)
        return f"CAST(json_build_array({fields}) AS text)"


def connect(server: Server) -> PostgresConnection:
    """Open a session. Raises StorageError."""
    with said():
        connection = psycopg.connect(
            server.url,
            password=server.password,
            autocommit=True,
            connect_timeout=CONNECT_S,
            application_name="edgewatt-controller",
            keepalives_idle=3,
            keepalives_interval=1,
            keepalives_count=3,
            tcp_user_timeout=DEAD_AFTER_S * 1_000,
        )
        settings = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in _SETTINGS.items())
        connection.execute(f"SELECT {settings}")
    return PostgresConnection(connection)


@contextmanager
def said() -> Iterator[None]:
    """Raise what the server or the network says as StorageError."""
    try:
        yield
    except psycopg.Error as error:
        code, what, hint = _meaning(error)
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StorageError(f"{what}: {line}", code=code, hint=hint) from error


def _meaning(error: psycopg.Error) -> tuple[str, str, str]:
    """Return the code of an error, what it means, and what to do."""
    state = error.sqlstate or ""
    if isinstance(error, (psycopg.DataError, psycopg.IntegrityError)) or state.startswith("54"):
        return VALUE_REFUSED, "the database has no place for it", "shorten or mend what was sent"
    if state == "53100":
        return "disk_full", "the database could not be written", "free some disk space on its server"
    if state[:2] in ("40", "53", "55") or state == "57014":
        return "database_busy", "the database does not get to it", "what else uses its server?"
    if state[:2] in ("", "08", "28", "3D", "57"):
        return "database_unreachable", "the database cannot be reached", "is PostgreSQL running, is `database` right?"
    return (
        "database_failed",
        "the database does not understand us",
        "is it of this version, and ours alone?",
    )


@lru_cache(maxsize=1_000)
def translated(sql: str) -> str:
    """Return `sql` with `?` and `:name` as psycopg wants them, except within what is quoted."""
    return _TOKENS.sub(_token, sql)


def _token(found: re.Match[str]) -> str:
    if found[0] == "?":
        return "%s"
    return f"%({found[1]})s" if found[1] else found[0].replace("%", "%%")


def storable(text: str) -> str:
    """Return `text` without what PostgreSQL has no place for: NUL, and halves of characters, plain or as JSON."""
    if text[:1] in "{[" and ("\\u0000" in text or "\\ud" in text or "\\uD" in text):
        text = _ESCAPES.sub(_escape, text)
    return text if text.isascii() and "\0" not in text else _UNSTORABLE.sub("\ufffd", text)


def _escape(found: re.Match[str]) -> str:
    return found[0] if found[1] or found[3] else "\\ufffd"


def _newer(step: str) -> StorageError:
    said = f"the database was upgraded by a newer EdgeWatt (step {step}), and this program is older"
    return StorageError(said, code="newer_database", hint="run that version or a newer one")


class _Truth(Int8BinaryDumper):
    """Truth values are numbers, as in a file."""

    def dump(self, obj: int) -> Any:
        return super().dump(int(obj))


class _Text(StrDumperUnknown):
    """Texts, with what cannot be stored replaced: a message must not stop all that come after it."""

    def dump(self, obj: str) -> Any:
        return super().dump(storable(obj))


class _Number(Loader):
    """Sums and means of whole numbers as numbers of Python."""

    def load(self, data: Any) -> int | float:
        text = bytes(data).decode()
        return int(text) if text.lstrip("-").isdecimal() else float(text)
