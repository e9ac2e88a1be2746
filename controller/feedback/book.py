"""The ledger's rows: what was predicted and reported, and which devices are watched for drift."""

import json
from dataclasses import asdict, fields
from typing import Any

from broker.energy import MEASURED
from controller.feedback.ledger import SIMULATED, Entry, Watch
from controller.storage.database import upsert
from controller.storage.store import Row, Store

COLUMNS = tuple(field.name for field in fields(Entry))
WATCH_COLUMNS = ("device_id", "model", "source", "alarm", "document")
MAX_SUMMED = 20_000
"""How many of the newest entries a summary speaks of."""

_INSERT = f"INSERT INTO ledger ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608 - our own columns


class Book:
    """Entries are only ever added; a watch is replaced by its newer self."""

    def __init__(self, store: Store) -> None:
        """Keep them in `store`."""
        self._store = store

    def add(self, entry: Entry) -> None:
        """Append an entry."""
        self._store.connection.execute(_INSERT, [getattr(entry, name) for name in COLUMNS])

    def entries(self, *, device_id: str = "", device_type: str = "", limit: int = MAX_SUMMED) -> list[Entry]:
        """Return entries, newest first."""
        given = {name: v for name, v in {"device_id": device_id, "device_type": device_type}.items() if v}
        where = " AND ".join(f"{name} = ?" for name in given) or "true"
        sql = f"SELECT * FROM ledger WHERE {where} ORDER BY id DESC LIMIT ?"  # noqa: S608 - fixed names
        return [_entry(row) for row in self._store.query(sql, [*given.values(), limit])]

    def errors_by_type(self) -> list[Row]:
        """Return by type of device, real and simulated apart, what `ledger.summary` says, without reading entries.

        Each row has `mape_percent` and `coverage_percent`, the second None where nothing was foretold with an interval.
        """
        marks = ", ".join("?" * len(MEASURED))
        sql = (
            "SELECT device_type, simulated, avg(abs(100 * (predicted_mj - actual_mj) / actual_mj)) AS mape_percent, "  # noqa: S608 - marks only
            "avg(CASE WHEN actual_mj BETWEEN low_mj AND high_mj THEN 100.0 "
            "WHEN low_mj IS NOT NULL AND high_mj IS NOT NULL THEN 0.0 END) AS coverage_percent "
            f"FROM (SELECT * FROM ledger ORDER BY id DESC LIMIT {MAX_SUMMED}) AS newest WHERE predicted_mj IS NOT NULL "
            f"AND (simulated = 0 AND source IN ({marks}) OR simulated = 1 AND source = ?) "
            "GROUP BY device_type, simulated ORDER BY device_type, simulated"
        )
        return self._store.query(sql, [*sorted(MEASURED), SIMULATED])

    def measured_types(self) -> dict[str, int]:
        """Return the types of real devices that a meter measured something on, and the newest such entry of each."""
        marks = ", ".join("?" * len(MEASURED))
        sql = (
            f"SELECT device_type, max(id) AS newest FROM ledger WHERE simulated = 0 AND source IN ({marks}) "  # noqa: S608 - marks only
            "GROUP BY device_type"
        )
        return {row["device_type"]: row["newest"] for row in self._store.query(sql, sorted(MEASURED))}

    def baseline(self, device_id: str, model: str) -> Entry | None:
        """Return what the newest deployment of `model` on a device ended with."""
        sql = (
            "SELECT * FROM ledger WHERE device_id = ? AND model = ? AND deployment_id IS NOT NULL "
            "ORDER BY id DESC LIMIT 1"
        )
        return next(map(_entry, self._store.query(sql, [device_id, model])), None)

    def mean_energy_mj(self, watch: Watch, until: float) -> float | None:
        """Return the mean energy (mJ per inference) that a device reported live since its watch was last read."""
        self._store.settle(watch.device_id)
        rows = self._store.query(
            "SELECT avg(energy_mj) AS mean FROM samples WHERE device_id = ? AND ts > ? AND ts <= ? "
            "AND model = ? AND energy_source = ? AND energy_mj > 0 AND coalesce(spooled, 0) = 0",
            [watch.device_id, watch.read_at, until, watch.model, watch.source],
        )
        return rows[0]["mean"]  # type: ignore[no-any-return]

    def watch(self, device_id: str, model: str, source: str) -> Watch | None:
        """Return how a model on a device is watched."""
        sql = "SELECT document FROM watches WHERE device_id = ? AND model = ? AND source = ?"
        return next(map(_watch, self._store.query(sql, [device_id, model, source])), None)

    def put_watch(self, watch: Watch) -> None:
        """Insert or replace a watch."""
        self._store.connection.execute(
            upsert("watches", ("device_id", "model", "source"), WATCH_COLUMNS),
            [watch.device_id, watch.model, watch.source, watch.alarm, json.dumps(asdict(watch))],
        )

    def forget_watches(self, device_id: str, *, but: str = "") -> None:
        """Stop watching what a device no longer runs."""
        self._store.connection.execute("DELETE FROM watches WHERE device_id = ? AND model != ?", [device_id, but])

    def alarms(self) -> list[Watch]:
        """Return the watches that raise an alarm, by device."""
        return list(map(_watch, self._store.query("SELECT document FROM watches WHERE alarm = 1 ORDER BY device_id")))

    def suspects(self) -> list[Watch]:
        """Return every watch whose sum has left zero, by device."""
        found = map(_watch, self._store.query("SELECT document FROM watches ORDER BY device_id"))
        return [watch for watch in found if watch.since is not None]


def _entry(row: Row) -> Entry:
    values: dict[str, Any] = {name: row[name] for name in COLUMNS}
    return Entry(**values | {"simulated": bool(row["simulated"]), "predictor": row["predictor"] or ""})


def _watch(row: Row) -> Watch:
    return Watch(**json.loads(row["document"]))
