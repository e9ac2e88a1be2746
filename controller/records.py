"""Deployments, other commands and what models cost on devices: rows in, objects out."""

import json
from dataclasses import replace
from typing import Any, Literal

import msgspec

from broker.commands import Ack
from broker.phases import TERMINAL, Phase
from broker.wire import encode
from controller.deployment import Deployment
from controller.storage.database import upsert
from controller.storage.store import Row, Store, like

SILENCE_S = 60.0
Order = Literal["newest", "oldest", "device", "model", "phase"]
_ORDERS: dict[Order, str] = {
    "newest": "created_at DESC, id",
    "oldest": "created_at, id",
    "device": "device_id, created_at DESC, id",
    "model": "model, created_at DESC, id",
    "phase": "phase, created_at DESC, id",
}

DEPLOYMENT_COLUMNS = ("id", "device_id", "command_id", "model", "phase", "open", "created_at", "due_at", "document")
_PUT_DEPLOYMENT = upsert("deployments", ("id",), DEPLOYMENT_COLUMNS, ("phase", "open", "due_at", "document"))
"""What else there is of one never changes, and its indexes need not be written."""
MEASUREMENT_COLUMNS = ("device_id", "model", "artifact_sha256", "energy_mj", "source", "p95_ms", "inferences", "at")


class Deployments:
    """Every deployment there ever was."""

    def __init__(self, store: Store, *, silence_s: float = SILENCE_S) -> None:
        """Keep them in `store`; one of which there is no news is looked at after `silence_s`."""
        self._store = store
        self._silence_s = silence_s

    def get(self, deployment_id: str) -> Deployment | None:
        """Return one deployment."""
        rows = self._store.query("SELECT document FROM deployments WHERE id = ?", [deployment_id])
        return _deployment(rows[0]) if rows else None

    def on_device(self, device_id: str, command_id: str) -> Deployment | None:
        """Return the deployment that a device calls `command_id`."""
        sql = "SELECT document FROM deployments WHERE device_id = ? AND command_id = ?"
        rows = self._store.query(sql, [device_id, command_id])
        return _deployment(rows[0]) if rows else None

    def elsewhere(self, command_id: str) -> Deployment | None:
        """Return the newest deployment that some device calls `command_id`."""
        sql = "SELECT document FROM deployments WHERE command_id = ? ORDER BY created_at DESC LIMIT 1"
        rows = self._store.query(sql, [command_id])
        return _deployment(rows[0]) if rows else None

    def find(
        self,
        *,
        device_id: str = "",
        open_only: bool = False,
        phase: str = "",
        q: str = "",
        until: float | None = None,
        order: Order = "newest",
        limit: int = 100,
        offset: int = 0,
    ) -> list[Deployment]:
        """Return deployments in `order`; `q` is a part of the model or of the device's id."""
        where, arguments = _where(device_id, open_only=open_only, until=until, phase=phase, q=q)
        sql = f"SELECT document FROM deployments WHERE {where} ORDER BY {_ORDERS[order]} LIMIT ? OFFSET ?"  # noqa: S608 - fixed text
        return [_deployment(row) for row in self._store.query(sql, [*arguments, limit, offset])]

    def resolving(self) -> list[Deployment]:
        """Return the deployments whose file is being found or made, oldest first."""
        sql = "SELECT document FROM deployments WHERE open = 1 AND phase = ? ORDER BY created_at, id"
        return [_deployment(row) for row in self._store.query(sql, [Phase.RESOLVING.value])]

    def count(
        self,
        *,
        device_id: str = "",
        rollout_id: str = "",
        open_only: bool = False,
        since: float | None = None,
        until: float | None = None,
        phase: str = "",
        q: str = "",
    ) -> dict[str, int]:
        """Return how many deployments, asked for from `since` to before `until` (Unix s), are in each phase."""
        where, arguments = _where(device_id, open_only=open_only, since=since, until=until, phase=phase, q=q)
        if rollout_id:
            where = f"{where} AND {self._store.connection.json_text('document', 'rollout_id')} = ?"
            arguments.append(rollout_id)
        sql = f"SELECT phase, count(*) AS n FROM deployments WHERE {where} GROUP BY phase"  # noqa: S608 - fixed text
        return {row["phase"]: row["n"] for row in self._store.query(sql, arguments)}

    def due(self, at: float, limit: int) -> list[Deployment]:
        """Return open deployments that time may change now, longest due first."""
        sql = "SELECT document FROM deployments WHERE due_at <= ? ORDER BY due_at LIMIT ?"
        return [_deployment(row) for row in self._store.query(sql, [at, limit])]

    def open_on(self, device_id: str) -> list[Deployment]:
        """Return the deployments of one device that are under way."""
        sql = "SELECT document FROM deployments WHERE device_id = ? AND due_at IS NOT NULL ORDER BY created_at, id"
        return [_deployment(row) for row in self._store.query(sql, [device_id])]

    def look_at(self, deployment_id: str, at: float) -> None:
        """Let an open deployment be due at a time."""
        sql = "UPDATE deployments SET due_at = ? WHERE id = ? AND due_at IS NOT NULL"
        self._store.connection.execute(sql, [at, deployment_id])

    def put(self, deployment: Deployment) -> None:
        """Insert or replace one deployment."""
        d = deployment
        due_at = None if d.terminal else min(d.deadline_at, d.news_at + self._silence_s)
        self._store.connection.execute(
            _PUT_DEPLOYMENT,
            [
                d.id,
                d.device_id,
                d.command_id,
                d.model,
                d.phase.value,
                not d.terminal,
                d.created_at,
                due_at,
                msgspec.json.encode(d).decode(),
            ],
        )

    def retire(self, ended: Deployment) -> None:
        """Give an ended deployment another id, because its own is used anew."""
        mark = f"~{int(ended.created_at)}"
        new_id = ended.id + mark
        self._store.connection.execute("DELETE FROM deployments WHERE id = ?", [ended.id])
        self.put(replace(ended, id=new_id, command_id=ended.command_id + mark))
        self._store.connection.execute(
            "UPDATE events SET deployment_id = ? WHERE deployment_id = ?", [new_id, ended.id]
        )


class Commands:
    """Commands other than deployments, as far as their acks tell."""

    def __init__(self, store: Store) -> None:
        """Keep them in `store`."""
        self._store = store

    def get(self, command_id: str, device_id: str = "") -> Row | None:
        """Return one command; `state` is None until the device answered, `ack` its newest answer as a dict."""
        where, arguments = (
            ("id = ? AND device_id = ?", [command_id, device_id]) if device_id else ("id = ?", [command_id])
        )
        rows = self._store.query(f"SELECT * FROM commands WHERE {where} ORDER BY created_at DESC", arguments)  # noqa: S608 - fixed text
        if not rows:
            return None
        command = {name: value for name, value in rows[0].items() if name != "phase"}
        return command | {"state": rows[0]["phase"], "ack": json.loads(command["ack"]) if command["ack"] else None}

    def add(self, command_id: str, device_id: str, op: str, origin: str, at: float) -> None:
        """Remember a command that was sent or seen."""
        self._store.connection.execute(
            "INSERT INTO commands (id, device_id, op, origin, created_at, updated_at, attempt, seq) "
            "VALUES (?, ?, ?, ?, ?, ?, 0, 0) ON CONFLICT DO NOTHING",
            [command_id, device_id, op, origin, at, at],
        )

    def hear(self, device_id: str, ack: Ack, at: float) -> bool:
        """Apply `ack` if it is newer than what is known; return whether it was."""
        cursor = self._store.connection.execute(
            "UPDATE commands SET attempt = ?, seq = ?, phase = ?, ack = ?, updated_at = ? "
            "WHERE id = ? AND device_id = ? AND (attempt, seq) < (?, ?)",
            [ack.attempt, ack.seq, ack.state.value, encode(ack).decode(), at, ack.id, device_id, ack.attempt, ack.seq],
        )
        return cursor.rowcount > 0

    def expire(self, device_id: str, command_id: str, at: float) -> bool:
        """Note that nobody took a command in time, or that its end was never heard; return whether that was so."""
        ended = [phase.value for phase in TERMINAL]
        cursor = self._store.connection.execute(
            "UPDATE commands SET phase = CASE WHEN phase IS NULL THEN ? ELSE ? END, updated_at = ? "  # noqa: S608 - marks only
            f"WHERE id = ? AND device_id = ? AND coalesce(phase, '') NOT IN ({', '.join('?' * len(ended))})",
            [Phase.EXPIRED.value, Phase.TIMED_OUT.value, at, command_id, device_id, *ended],
        )
        return cursor.rowcount > 0


class Measurements:
    """What a model cost the last time it ran on a device."""

    def __init__(self, store: Store) -> None:
        """Keep them in `store`."""
        self._store = store

    def get(self, device_id: str, model: str) -> Row | None:
        """Return the newest measurement of `model` on this device."""
        rows = self._store.query("SELECT * FROM measurements WHERE device_id = ? AND model = ?", [device_id, model])
        return rows[0] if rows else None

    def of_model(self, model: str) -> list[Row]:
        """Return the newest measurement of `model` on each device that has one."""
        return self._store.query("SELECT * FROM measurements WHERE model = ?", [model])

    def all(self) -> list[Row]:
        """Return the newest measurement of each model on each device."""
        return self._store.query("SELECT * FROM measurements ORDER BY device_id, model")

    def put(self, device_id: str, model: str, sha256: str | None, result: dict[str, Any], at: float) -> None:
        """Keep the energy in a device's `result`, if it has one with its source."""
        energy_mj, source = result.get("energy_mj"), result.get("energy_source")
        if not isinstance(energy_mj, (int, float)) or not isinstance(source, str):
            return
        self._store.connection.execute(
            upsert("measurements", ("device_id", "model"), MEASUREMENT_COLUMNS),
            [
                device_id,
                model,
                sha256,
                float(energy_mj),
                source,
                _number(result.get("latency_p95_ms")),
                _number(result.get("inferences")),
                at,
            ],
        )


def _deployment(row: Row) -> Deployment:
    return msgspec.json.decode(row["document"], type=Deployment)


def _where(
    device_id: str,
    *,
    open_only: bool,
    since: float | None = None,
    until: float | None = None,
    phase: str = "",
    q: str = "",
) -> tuple[str, list[Any]]:
    given = {"device_id = ?": device_id or None, "created_at >= ?": since, "created_at < ?": until}
    given["phase = ?"] = phase or None
    given["lower(device_id || ' ' || model) LIKE ? ESCAPE '\\'"] = like(q) if q else None
    asked = {term: value for term, value in given.items() if value is not None}
    return " AND ".join([*asked, *(["open = 1"] if open_only else [])]) or "true", list(asked.values())


def _number(value: Any) -> float | int | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
