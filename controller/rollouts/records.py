"""Rollouts and where their devices stand: rows in, objects out, counted in SQL."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from broker.phases import TERMINAL
from controller.rollouts.request import Request
from controller.rollouts.standing import MOVING, Standing
from controller.rollouts.state import Rollout
from controller.storage.database import EVERY
from controller.storage.store import Row, Store, like

NEW_COLUMNS = (
    "rollout_id",
    "place",
    "device_id",
    "device_type",
    "wave",
    "standing",
    "moving",
    "since",
    "code",
    "reason",
)
MOST_EVENTS = 500
HEAD = 200
"""Devices at the head of a wave in which those are sought whose turn it is: a wave of many is not read each second."""

WORST_FIRST = (
    Standing.FAILED,
    Standing.BREACHED,
    Standing.ROLLBACK_FAILED,
    Standing.ROLLING_BACK,
    Standing.TO_ROLL_BACK,
    Standing.PROVING,
    Standing.FETCHING,
    Standing.ROLLBACK_AWAY,
    Standing.AWAY,
    Standing.WAITING,
    Standing.WITHDRAWN,
    Standing.ROLLED_BACK,
    Standing.DONE,
    Standing.REFUSED,
    Standing.ALREADY,
)
"""How a list of devices is sorted: what needs a person, what moves, what is over."""

_RANK = "CASE standing " + " ".join(f"WHEN '{each}' THEN {rank}" for rank, each in enumerate(WORST_FIRST)) + " END"


class News:
    """Which devices of open rollouts something happened to; written in the transaction in which it did."""

    def __init__(self, store: Store) -> None:
        """Keep it in `store`."""
        self._store = store

    def of(self, device_id: str, due_at: float) -> None:
        """Let every rollout in which a device moves look at it, at `due_at`."""
        self._store.connection.execute(
            "INSERT INTO rollout_news (rollout_id, device_id, due_at) "
            "SELECT rollout_id, device_id, ? FROM rollout_devices WHERE device_id = ? AND moving = 1 "
            "ON CONFLICT (rollout_id, device_id) DO UPDATE SET due_at = excluded.due_at",
            [due_at, device_id],
        )

    def arrived(self, device_id: str, at: float) -> None:
        """Let every open rollout that new devices may join look at one that said what it is."""
        self._store.connection.execute(
            "INSERT INTO rollout_news (rollout_id, device_id, due_at) "
            "SELECT id, ?, ? FROM rollouts WHERE open = 1 AND joins = 1 AND NOT EXISTS "
            "(SELECT 1 FROM rollout_devices WHERE rollout_id = rollouts.id AND device_id = ?) ON CONFLICT DO NOTHING",
            [device_id, at, device_id],
        )

    def take(self, rollout_id: str, at: float, limit: int) -> list[str]:
        """Take out and return devices of a rollout that are due."""
        rows = self._store.connection.execute(
            "DELETE FROM rollout_news WHERE (rollout_id, device_id) IN (SELECT rollout_id, device_id FROM rollout_news "
            "WHERE rollout_id = ? AND due_at <= ? ORDER BY due_at LIMIT ?) RETURNING device_id",
            [rollout_id, at, limit],
        )
        return [device_id for (device_id,) in rows.fetchall()]

    def forget(self, rollout_id: str) -> None:
        """Drop what is left of a rollout that has ended."""
        self._store.connection.execute("DELETE FROM rollout_news WHERE rollout_id = ?", [rollout_id])


class Rollouts:
    """Every rollout there ever was, with what was asked for."""

    def __init__(self, store: Store) -> None:
        """Keep them in `store`."""
        self._store = store

    def add(self, rollout: Rollout, request: Request) -> None:
        """Insert a rollout, with what was asked for."""
        self._store.connection.execute(
            "INSERT INTO rollouts (id, joins, created_at, request) VALUES (?, ?, ?, ?)",
            [rollout.id, rollout.rules.joins, rollout.created_at, _encoded(request)],
        )
        self.put(rollout)

    def put(self, rollout: Rollout) -> None:
        """Replace what is known of a rollout."""
        self._store.connection.execute(
            "UPDATE rollouts SET open = ?, phase = ?, document = ? WHERE id = ?",
            [not rollout.terminal, rollout.phase.value, _encoded(rollout), rollout.id],
        )

    def get(self, rollout_id: str) -> Rollout | None:
        """Return one rollout."""
        rows = self._store.query("SELECT document FROM rollouts WHERE id = ?", [rollout_id])
        return next((_rollout(row) for row in rows), None)

    def request(self, rollout_id: str) -> Request:
        """Return what was asked for."""
        (row,) = self._store.query("SELECT request FROM rollouts WHERE id = ?", [rollout_id])
        return msgspec.json.decode(row["request"], type=Request)

    def open(self) -> list[Rollout]:
        """Return the rollouts that still move, oldest first."""
        rows = self._store.query("SELECT document FROM rollouts WHERE open = 1 ORDER BY created_at, id")
        return [_rollout(row) for row in rows]

    def find(
        self,
        *,
        open_only: bool = False,
        phase: str = "",
        q: str = "",
        oldest_first: bool = False,
        limit: int = 100,
        offset: int = 0,
    ) -> list[Rollout]:
        """Return rollouts, newest first unless asked otherwise; `q` is a part of the model or of who asked."""
        where, arguments = self._where(open_only=open_only, phase=phase, q=q)
        order = "created_at, id" if oldest_first else "created_at DESC, id DESC"
        sql = f"SELECT document FROM rollouts WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?"  # noqa: S608 - fixed text
        return [_rollout(row) for row in self._store.query(sql, [*arguments, limit, offset])]

    def phases(self) -> dict[str, int]:
        """Return how many rollouts are in each phase."""
        rows = self._store.query("SELECT phase, count(*) AS n FROM rollouts GROUP BY phase")
        return {row["phase"]: row["n"] for row in rows}

    def count(self, *, open_only: bool = False, phase: str = "", q: str = "") -> int:
        """Return how many rollouts there are."""
        where, arguments = self._where(open_only=open_only, phase=phase, q=q)
        (row,) = self._store.query(f"SELECT count(*) AS n FROM rollouts WHERE {where}", arguments)  # noqa: S608 - fixed text
        return int(row["n"])

    def _where(self, *, open_only: bool, phase: str, q: str) -> tuple[str, list[Any]]:
        model, who = (self._store.connection.json_text("document", name) for name in ("model", "who"))
        given = {"phase = ?": phase, f"lower({model} || ' ' || {who}) LIKE ? ESCAPE '\\'": like(q) if q else ""}
        asked = {term: value for term, value in given.items() if value}
        return " AND ".join([*asked, *(["open = 1"] if open_only else [])]) or "true", list(asked.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Participants:
    """The devices of rollouts."""

    store: Store

    def add(self, rollout_id: str, rows: Iterable[Sequence[Any]]) -> None:
        """Insert devices after those that are there; each row has what `NEW_COLUMNS` names after `place`."""
        last = "SELECT coalesce(max(place), 0) AS place FROM rollout_devices WHERE rollout_id = ?"
        first = int(self.store.query(last, [rollout_id])[0]["place"]) + 1
        self.store.connection.executemany(
            f"INSERT INTO rollout_devices ({', '.join(NEW_COLUMNS)}) VALUES ({', '.join('?' * len(NEW_COLUMNS))})",  # noqa: S608 - our own columns
            [(rollout_id, place, *row) for place, row in enumerate(rows, first)],
        )

    def get(self, rollout_id: str, device_id: str) -> Row | None:
        """Return one device's part."""
        sql = "SELECT * FROM rollout_devices WHERE rollout_id = ? AND device_id = ?"
        return next(iter(self.store.query(sql, [rollout_id, device_id])), None)

    def put(self, rollout_id: str, device_id: str, standing: Standing, at: float, **columns: Any) -> None:
        """Let a device stand elsewhere, and change `columns` with it."""
        given = {"standing": standing.value, "moving": standing in MOVING, "since": at, **columns}
        names = ", ".join(f"{name} = ?" for name in given)
        self.store.connection.execute(
            f"UPDATE rollout_devices SET {names} WHERE rollout_id = ? AND device_id = ?",  # noqa: S608 - our own columns
            [*given.values(), rollout_id, device_id],
        )

    def move_all(
        self, rollout_id: str, before: Iterable[Standing], after: Standing, at: float, reason: str | None = None
    ) -> None:
        """Let every device that stands in one of `before` stand in `after`; without a `reason` it keeps its own."""
        marks = [each.value for each in before]
        self.store.connection.execute(
            f"UPDATE rollout_devices SET standing = ?, moving = ?, since = ?, reason = coalesce(?, reason) "  # noqa: S608 - marks only
            f"WHERE rollout_id = ? AND wave IS NOT NULL AND standing IN ({', '.join('?' * len(marks))})",
            [after.value, after in MOVING, at, reason, rollout_id, *marks],
        )

    def rest(self, rollout_id: str) -> None:
        """Let nobody look at the devices of a rollout any more."""
        self.store.connection.execute("UPDATE rollout_devices SET moving = 0 WHERE rollout_id = ?", [rollout_id])

    def standing(self, rollout_id: str, standings: Iterable[Standing], limit: int = EVERY) -> list[Row]:
        """Return devices that stand in one of `standings`, by wave and id."""
        marks = [each.value for each in standings]
        sql = (
            f"SELECT * FROM rollout_devices WHERE rollout_id = ? AND wave IS NOT NULL AND standing IN "  # noqa: S608 - marks only
            f"({', '.join('?' * len(marks))}) ORDER BY wave, device_id LIMIT ?"
        )
        return self.store.query(sql, [rollout_id, *marks, limit])

    def waiting(self, rollout_id: str, wave: int, *, online: bool, limit: int, later: bool = False) -> list[Row]:
        """Return devices of a wave (of those `later`) whose turn has come, that are connected or that are not."""
        sql = (
            "SELECT m.* FROM rollout_devices m LEFT JOIN devices d ON d.id = m.device_id WHERE m.rollout_id = ? "  # noqa: S608 - fixed text
            f"AND m.wave {'>' if later else '='} ? AND m.standing = 'waiting' AND coalesce(d.online, 0) = ? "
            "ORDER BY m.wave, m.place LIMIT ?"
        )
        return self.store.query(sql, [rollout_id, wave, online, limit])

    def next(self, rollout_id: str, wave: int, *, online: bool, limit: int) -> list[Row]:
        """Return devices among the first of a wave that are connected, or that are not; of all only if few are."""
        sql = (
            "SELECT m.*, coalesce(d.online, 0) AS online FROM (SELECT * FROM rollout_devices WHERE rollout_id = ? "
            "AND wave = ? AND standing = 'waiting' ORDER BY place LIMIT ?) m LEFT JOIN devices d ON d.id = m.device_id "
            "ORDER BY m.place"
        )
        head = self.store.query(sql, [rollout_id, wave, HEAD])
        found = [part for part in head if bool(part["online"]) is online][:limit]
        if online and len(found) < limit and len(head) == HEAD:
            return self.waiting(rollout_id, wave, online=online, limit=limit)
        return found

    def to_wave(self, rollout_id: str, device_id: str, wave: int) -> None:
        """Put a device into another wave."""
        sql = "UPDATE rollout_devices SET wave = ? WHERE rollout_id = ? AND device_id = ?"
        self.store.connection.execute(sql, [wave, rollout_id, device_id])

    def answered(self, rollout_id: str, limit: int) -> list[Row]:
        """Return devices whose rollback has ended, with `ended` (the phase) and `ack` (JSON) of its command."""
        ends = ", ".join(f"'{phase}'" for phase in sorted(TERMINAL))
        sql = (
            f"SELECT m.*, c.phase AS ended, c.ack AS ack FROM rollout_devices m JOIN commands c "  # noqa: S608 - fixed words
            f"ON c.id = m.command_id AND c.device_id = m.device_id WHERE m.rollout_id = ? AND m.standing IN "
            f"('{Standing.ROLLING_BACK}', '{Standing.ROLLBACK_AWAY}') AND c.phase IN ({ends}) LIMIT ?"
        )
        return self.store.query(sql, [rollout_id, limit])

    def audit(self, rollout_id: str) -> list[Row]:
        """Return what happened to a rollout, oldest first."""
        where = f"kind = 'rollout' AND {self.store.connection.json_text('facts', 'rollout_id')} = ?"
        sql = f"SELECT * FROM events WHERE {where} ORDER BY id LIMIT ?"  # noqa: S608 - fixed text
        return self.store.query(sql, [rollout_id, MOST_EVENTS])

    def page(
        self, rollout_id: str, *, standing: str = "", wave: int | None = None, limit: int = 100, offset: int = 0
    ) -> tuple[int, list[Row]]:
        """Return how many devices match, and one page of them, failures first."""
        where, given = "m.rollout_id = ?", [rollout_id]
        if standing:
            where, given = where + " AND m.standing = ?", [*given, standing]
        if wave is not None:
            where, given = where + " AND m.wave = ?", [*given, str(wave)]
        (total,) = self.store.query(f"SELECT count(*) AS n FROM rollout_devices m WHERE {where}", given)  # noqa: S608 - fixed text
        sql = (
            "SELECT m.*, d.phase AS deployment_phase FROM rollout_devices m LEFT JOIN deployments d "  # noqa: S608 - fixed text
            f"ON d.id = m.deployment_id WHERE {where} ORDER BY {_RANK}, m.wave, m.device_id LIMIT ? OFFSET ?"
        )
        return int(total["n"]), self.store.query(sql, [*given, limit, offset])


def _rollout(row: dict[str, Any]) -> Rollout:
    return msgspec.json.decode(row["document"], type=Rollout)


def _encoded(value: Any) -> str:
    return msgspec.json.encode(value).decode()
