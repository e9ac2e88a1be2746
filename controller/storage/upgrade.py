"""Brings a database to this program's schema: a copy is kept first, and one of a newer program is left untouched."""

import json
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from broker.errors import StorageError

logger = logging.getLogger(__name__)

COPIES = 2
"""How many copies from before an upgrade stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgraded:
    """Which steps of the schema a database that had data took, and the copy of it from before."""

    steps: tuple[str, ...]
    copy: Path | None

    @property
    def sentence(self) -> str:
        """What is told of it."""
        kept = f"; as it was before it is in {self.copy.name}" if self.copy else ""
        return f"the database was upgraded: {', '.join(self.steps)}{kept}"


def refuse_newer(connection: sqlite3.Connection, of: str, known: Sequence[str]) -> None:
    """Raise StorageError where a database has taken steps of the schema `of` that are not `known`; only reads."""
    newer = sorted(set(_applied(connection, of)) - set(known))
    if newer:
        raise StorageError(
            f"the database {_file(connection)} was upgraded by {_maker(connection)} (step {newer[-1]}), and this"
            f" program is older: it knows steps up to {max(known)}",
            code="newer_database",
            hint="run that version or a newer one; or restore a backup that this version made",
        )


def bring_up(
    connection: sqlite3.Connection, of: str, known: Sequence[str], apply: Callable[[], None]
) -> Upgraded | None:
    """Let `apply` take the steps that are missing, and return them where there were data before.

    Raises StorageError when there is no room for the copy, and then nothing was changed.
    """
    applied = _applied(connection, of)
    missing = tuple(step for step in known if step not in applied)
    file = _file(connection)
    copy = _copied(connection, file, max(applied)) if applied and missing and file else None
    apply()
    if not applied or not missing:
        return None
    upgraded = Upgraded(steps=missing, copy=copy)
    logger.info("%s", upgraded.sentence)
    return upgraded


def _copied(connection: sqlite3.Connection, path: Path, newest: str) -> Path:
    """Copy the database whole beside itself, and let older copies than the newest two go."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    target = path.with_name(f"{path.name}.{stamp}.{newest.partition('_')[0]}")
    half = target.with_name(f"{target.name}.part")
    for left in path.parent.glob(f"{path.name}.*.part"):
        left.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(half)) as copy:
            connection.backup(copy)
    except sqlite3.Error as error:
        half.unlink(missing_ok=True)
        raise StorageError(
            f"the database {path} has to be upgraded, and a copy of it cannot be written first: {error}",
            hint=f"free {path.stat().st_size / 1e6:,.1f} MB in {path.parent}",
        ) from error
    half.rename(target)
    for old in sorted(path.parent.glob(f"{path.name}.*Z.m*"))[:-COPIES]:
        old.unlink(missing_ok=True)
    return target


def _file(connection: sqlite3.Connection) -> Path | None:
    """Return the file of a database, None for one in memory."""
    [name] = [file for _, name, file in connection.execute("PRAGMA database_list") if name == "main"]
    return Path(name) if name else None


def _applied(connection: sqlite3.Connection, of: str) -> list[str]:
    """Return the steps that a database has taken."""
    if not _has(connection, "_sqlite_migrations"):
        return []
    sql = "SELECT name FROM _sqlite_migrations WHERE migration_set = ?"
    return [name for (name,) in connection.execute(sql, [of])]


def _maker(connection: sqlite3.Connection) -> str:
    """Return which version worked on a database last, as far as it says so."""
    if _has(connection, "remembered"):
        for (value,) in connection.execute("SELECT value FROM remembered WHERE name = 'settings'"):
            return f"EdgeWatt {json.loads(value).get('version', 'of a newer version')}"
    return "a newer EdgeWatt"


def _has(connection: sqlite3.Connection, table: str) -> bool:
    sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    return connection.execute(sql, [table]).fetchone() is not None
