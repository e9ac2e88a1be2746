"""Rows in, objects out: the controller's database, without decisions.

One connection, owned by the controller's event loop; every write happens inside `transaction`. This module keeps
devices, events and counts; deployments, samples and the outbox have modules of their own over the same connection.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal

from broker.errors import StorageError
from controller.logs import Kind
from controller.storage import listed
from controller.storage.database import EVERY, Connection, Place, connect, upsert
from controller.storage.encoding import decoded, encoded
from controller.storage.heap import Heap
from controller.storage.moving import move_samples, put_beside
from controller.storage.readings import Readings
from controller.storage.sample_table import Indexed, SampleTable
from controller.storage.schema import migrations
from controller.storage.sqlite import SQLiteConnection, not_written
from controller.storage.summed import SAID_BEFORE_S, Summed

Row = dict[str, Any]

PIECE = 500
"""Devices that are read at one time where all of them are."""


class Store:
    """The controller's memory; survives kill -9 at any moment."""

    def __init__(self, place: Place, connection: Connection | None = None) -> None:
        """Open `place`, or use a `connection` to it, and bring its schema up to date. Raises StorageError."""
        self._ids: dict[str, str] | None = None
        self._away: set[str] | None = None
        self.summed = Summed()
        self.connection = connection or connect(place)
        try:
            self.upgraded = self.connection.migrate(migrations)
            self.samples = _samples(self.connection)
            self.readings = Readings(self.connection)
            if isinstance(self.samples, Heap):
                move_samples(self)
            if self.upgraded and "m016_lists" in self.upgraded.steps:
                put_beside(self)
        except self.connection.errors as error:
            raise StorageError(
                f"cannot open the database {place}: {error}", hint="check the folder's rights and free space"
            ) from error

    def close(self) -> None:
        """Close the database."""
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything inside, or nothing; inside another one, belong to that. Raises StorageError."""
        nested = self.connection.in_transaction
        if nested:
            yield
            return
        try:
            self.connection.begin()
            yield
            self.connection.execute("COMMIT")
            self.samples.committed()
            self.readings.committed()
        except BaseException as error:
            self._forget()
            self.samples.rolled_back(part=False)
            self.readings.rolled_back()
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            if isinstance(error, self.connection.errors):
                raise not_written(error) from error
            raise

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what is inside if it fails, and leave the transaction around it as it was."""
        if not self.connection.in_transaction:
            with self.transaction():
                yield
            return
        self.connection.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            self._forget()
            self.samples.rolled_back(part=True)
            self.readings.rolled_back()
            self.connection.execute("ROLLBACK TO part")
            raise
        finally:
            self.connection.execute("RELEASE part")

    def hold(self) -> None:
        """Let samples and readings have their places later from now on: `controller.storage.settling` sees to it."""
        self.samples.hold()
        self.readings.hold()

    def settle(self, *device_ids: str) -> None:
        """Let the newest samples of these devices be found; while nothing can be written, only those from before."""
        if self.samples.waits(device_ids):
            with suppress(StorageError), self.transaction():
                self.samples.settle(device_ids)

    def query(self, sql: str, arguments: list[Any] | dict[str, Any] | None = None) -> list[Row]:
        """Return rows with their documents decoded."""
        cursor = self.connection.execute(sql, arguments or ())
        names = [column[0] for column in cursor.description]
        return [decoded(dict(zip(names, row, strict=True))) for row in cursor]

    def has_device(self, device_id: str) -> bool:
        """Return whether a device is registered; asked for every message, so answered from memory."""
        return self.known(device_id) is not None

    def known(self, device_id: str) -> str | None:
        """Return the id of a registered device as the one string that is to be kept of it, None where there is none."""
        self._ids = self._ids or {name: name for (name,) in self.connection.execute("SELECT id FROM devices")}
        return self._ids.get(device_id)

    def device(self, device_id: str) -> Row | None:
        """Return one device."""
        return next(iter(self.query("SELECT * FROM fleet WHERE id = ?", [device_id])), None)

    def devices(self) -> list[Row]:
        """Return every device, by id."""
        return self.query("SELECT * FROM fleet ORDER BY id")

    def pieces(self, where: str = "true", *, after: str = "", most: int = PIECE) -> Iterator[list[Row]]:
        """Yield devices by id in pieces of `most`, from the one that follows `after`; `where` is our own SQL."""
        sql = f"SELECT * FROM fleet WHERE id > ? AND {where} ORDER BY id LIMIT ?"  # noqa: S608 - our own words
        while piece := self.query(sql, [after, most]):
            yield piece
            after = piece[-1]["id"]

    def near(self, device_id: str) -> list[str]:
        """Return ids of devices that come before and after this one: what somebody may have meant."""
        after = self.query("SELECT id FROM devices WHERE id >= ? ORDER BY id LIMIT ?", [device_id, PIECE])
        before = self.query("SELECT id FROM devices WHERE id < ? ORDER BY id DESC LIMIT ?", [device_id, PIECE])
        return [row["id"] for row in (*after, *before)]

    def away(self) -> set[str]:
        """Return the devices that are said to be away; asked for every batch, so answered from memory."""
        if self._away is None:
            self._away = {row["id"] for row in self.query("SELECT id FROM devices WHERE online = 0")}
        return self._away

    def wakings(self, since: float, until: float = float(EVERY)) -> dict[str, float]:
        """Return by id when each device that left to sleep wakes, or should have: after `since`, up to `until`."""
        rows = self.query("SELECT id, wakes_at FROM devices WHERE wakes_at > ? AND wakes_at <= ?", [since, until])
        return {row["id"]: row["wakes_at"] for row in rows}

    def reported(self, device_id: str, *names: str) -> tuple[Any, ...]:
        """Return these fields of a device's newest state, without reading the rest of it; None for what is absent."""
        wanted = self.connection.json_list("state", names)
        rows = self.query(f"SELECT {wanted} AS facts FROM devices WHERE id = ?", [device_id])  # noqa: S608 - our own fields
        return tuple(rows[0]["facts"]) if rows else (None,) * len(names)

    def presences(self, device_ids: Iterable[str]) -> dict[str, Row]:
        """Return by id whether each of these devices is online, and its status."""
        names = sorted(set(device_ids))
        marks = ", ".join("?" * len(names)) or "NULL"
        sql = f"SELECT id, online, status_at, status FROM devices WHERE id IN ({marks})"  # noqa: S608 - marks only
        return {row["id"]: row for row in self.query(sql, names)}

    def device_types(self) -> list[tuple[str, str]]:
        """Return the id and the type of every device that said what it is, by id."""
        sql = "SELECT id, device_type FROM devices WHERE device_type IS NOT NULL ORDER BY id"
        return [(row["id"], row["device_type"]) for row in self.query(sql)]

    def count_devices(self) -> int:
        """Return how many devices are registered."""
        return int(self.query("SELECT count(*) AS n FROM devices")[0]["n"])

    def add_device(self, device_id: str, at: float, *, approved: bool) -> bool:
        """Make room for a device; return whether it is new."""
        cursor = self.connection.execute(
            "INSERT INTO devices (id, registered_at, approved, words) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            [device_id, at, approved, device_id],
        )
        begins_at = at - at % 60 - SAID_BEFORE_S
        self.connection.execute(
            "INSERT INTO rolled (device_id, until) VALUES (?, ?) ON CONFLICT DO NOTHING", [device_id, begins_at]
        )
        if self._ids is not None:
            self._ids[device_id] = device_id
        return cursor.rowcount > 0

    def put_device(self, device_id: str, **columns: Any) -> None:
        """Change `columns` of a device that exists, and with them what lists ask of it."""
        changed = columns | listed.beside(device_id, columns, lambda: self.device(device_id))
        names = ", ".join(f"{name} = ?" for name in changed)
        values = [*map(encoded, changed.values()), device_id]
        self.connection.execute(f"UPDATE devices SET {names} WHERE id = ?", values)  # noqa: S608 - our own columns
        if "info" in columns:
            self._put_tags(device_id, listed.tags(columns["info"]))
        if "online" in columns and self._away is not None:
            (self._away.discard if columns["online"] != 0 else self._away.add)(device_id)

    def add_gaps(self, gaps: dict[str, int]) -> None:
        """Add to each device's count of samples that never came; a late one takes away."""
        changes = [(n, n, device_id) for device_id, n in gaps.items() if n]
        sql = "UPDATE devices SET gaps = CASE WHEN gaps + ? > 0 THEN gaps + ? ELSE 0 END WHERE id = ?"
        self.connection.executemany(sql, changes)

    def forget_device(self, device_id: str) -> None:
        """Remove a device, what waits for it and what it measured; its deployments, telemetry and events stay."""
        self._forget()
        self.readings.forget(device_id)
        self.connection.execute("DELETE FROM devices WHERE id = ?", [device_id])
        for table in ("device_tags", "outbox", "measurements", "watches", "corrections", "alerts"):
            self.connection.execute(f"DELETE FROM {table} WHERE device_id = ?", [device_id])  # noqa: S608 - our own tables

    def _put_tags(self, device_id: str, tags: set[str]) -> None:
        before = {row["tag"] for row in self.query("SELECT tag FROM device_tags WHERE device_id = ?", [device_id])}
        if tags != before:
            self.connection.execute("DELETE FROM device_tags WHERE device_id = ?", [device_id])
            insert = "INSERT INTO device_tags (device_id, tag) VALUES (?, ?) ON CONFLICT DO NOTHING"
            self.connection.executemany(insert, [(device_id, tag) for tag in tags])

    def _forget(self) -> None:
        """Trust nothing that was kept in memory."""
        self._ids = self._away = None

    def add_event(
        self,
        at: float,
        kind: Kind,
        text: str,
        *,
        who: str = "controller",
        device_id: str | None = None,
        deployment_id: str | None = None,
        phase: str | None = None,
        facts: dict[str, Any] | None = None,
    ) -> None:
        """Append to the audited stream."""
        self.connection.execute(
            "INSERT INTO events (at, kind, who, device_id, deployment_id, phase, text, facts) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [at, kind, who, device_id, deployment_id, phase, text, encoded(facts)],
        )

    def newest_event(self) -> int:
        """Return the number of the newest event, 0 before there is one."""
        return int(self.query("SELECT coalesce(max(id), 0) AS id FROM events")[0]["id"])

    def events(
        self,
        *,
        kind: Kind | Literal[""] = "",
        device_id: str = "",
        deployment_id: str = "",
        limit: int = 100,
        oldest_first: bool = False,
    ) -> list[Row]:
        """Return events, newest first unless asked otherwise."""
        wanted = {"kind": kind, "device_id": device_id, "deployment_id": deployment_id}
        given = {name: value for name, value in wanted.items() if value}
        where = " AND ".join(f"{name} = ?" for name in given) or "true"
        order = "ASC" if oldest_first else "DESC"
        sql = f"SELECT * FROM events WHERE {where} ORDER BY id {order} LIMIT ?"  # noqa: S608 - fixed names
        return self.query(sql, [*given.values(), limit])

    def remember(self, name: str, value: Any) -> None:
        """Keep one fact about the controller itself; a JSON value."""
        self.connection.execute(upsert("remembered", ("name",), ("name", "value")), [name, json.dumps(value)])

    def remembered(self, name: str) -> Any:
        """Return what was kept under `name`, None when nothing was."""
        rows = self.query("SELECT value FROM remembered WHERE name = ?", [name])
        return json.loads(rows[0]["value"]) if rows else None

    def count(self, counts: dict[str, int]) -> None:
        """Add to the named counters."""
        self.connection.executemany(
            "INSERT INTO counters (name, value) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value",
            list(counts.items()),
        )

    def counters(self) -> dict[str, int]:
        """Return every counter."""
        return {row["name"]: row["value"] for row in self.query("SELECT * FROM counters")}


def _samples(connection: Connection) -> SampleTable:
    """Return how a database keeps samples."""
    return Heap(connection) if isinstance(connection, SQLiteConnection) else Indexed(connection)


def like(part: str) -> str:
    """Return the pattern of a LIKE for text, in small letters, that has `part` in it; a backslash escapes."""
    plain = part.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{plain}%"
