"""The ledger's rows: what was predicted and reported, and which devices are watched for drift."""

import json
from dataclasses import asdict, fields
from typing import Any

from broker.energy import MEASURED
from controller.feedback.ledger import SIMULATED, Entry, Judged, Watch, summary
from controller.storage.database import upsert
from controller.storage.store import Row, Store

COLUMNS = tuple(field.name for field in fields(Entry))
WATCH_COLUMNS = ("device_id", "model", "source", "alarm", "document")
MAX_SUMMED = 20_000
"""How many of the newest entries a summary speaks of."""

_TRUE = "simulated = 0 AND source IN ('{}')".format("', '".join(sorted(MEASURED)))
_TEACHES = f"({_TRUE} OR simulated = 1 AND source = '{SIMULATED}')"
"""As SQL what `Entry.counts_as_truth` and `Entry.teaches` say."""

_ERROR = "100 * (predicted_mj - actual_mj) / actual_mj"
_INSIDE = (
    "CASE WHEN low_mj IS NULL OR high_mj IS NULL THEN NULL WHEN actual_mj BETWEEN low_mj AND high_mj THEN 1 ELSE 0 END"
)
"""As SQL what `Entry.error_percent` and `Entry.inside` say."""

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
        newest, given = _newest(device_id, device_type, limit)
        return [_entry(row) for row in self._store.query(f"SELECT * FROM {newest} ORDER BY id DESC", given)]  # noqa: S608 - fixed names

    def summary(self, now: float, *, device_id: str = "", device_type: str = "") -> Row:
        """Return the `total` of entries, at most `MAX_SUMMED` of the newest, and how good their predictions were.

        Errors are against truth only; the same of simulated devices is apart, under `simulated`. `not_counted` is how
        many entries had no meter behind them, by source.
        """
        newest, given = _newest(device_id, device_type, MAX_SUMMED)
        sources = self._store.query(
            f"SELECT source, count(*) AS n, sum(CASE WHEN {_TRUE} THEN 0 ELSE 1 END) AS untrue FROM {newest} "  # noqa: S608 - fixed names
            "GROUP BY source",
            given,
        )
        judged: tuple[list[Judged], list[Judged]] = ([], [])
        # Medians in SQL take longer than all of this, so it judges and leaves the sums to us.
        for simulated, *told in self._store.connection.execute(
            f"SELECT simulated, device_type, model, at, {_ERROR}, {_INSIDE} FROM {newest} "  # noqa: S608 - fixed names
            f"WHERE predicted_mj IS NOT NULL AND {_TEACHES}",
            given,
        ):
            judged[simulated].append(Judged(*told))
        real, simulation = (summary(each, now) for each in judged)
        return {
            "total": sum(each["n"] for each in sources),
            **real,
            "simulated": simulation,
            "not_counted": {each["source"]: each["untrue"] for each in sources if each["untrue"]},
        }

    def errors_by_type(self) -> list[Row]:
        """Return by type of device, real and simulated apart, what `summary` says of it, and nothing else.

        Each row has `mape_percent` and `coverage_percent`, the second None where nothing was foretold with an interval.
        """
        newest, given = _newest("", "", MAX_SUMMED)
        sql = (
            f"SELECT device_type, simulated, avg(abs({_ERROR})) AS mape_percent, "  # noqa: S608 - fixed names
            f"100 * avg({_INSIDE}) AS coverage_percent FROM {newest} WHERE predicted_mj IS NOT NULL AND {_TEACHES} "
            "GROUP BY device_type, simulated ORDER BY device_type, simulated"
        )
        return self._store.query(sql, given)

    def measured_types(self) -> dict[str, int]:
        """Return the types of real devices that a meter measured something on, and the newest such entry of each."""
        sql = f"SELECT device_type, max(id) AS newest FROM ledger WHERE {_TRUE} GROUP BY device_type"  # noqa: S608 - fixed names
        return {row["device_type"]: row["newest"] for row in self._store.query(sql)}

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


def _newest(device_id: str, device_type: str, limit: int) -> tuple[str, list[Any]]:
    """Return SQL for the newest entries, with its arguments: of a device, of a type, of all where none is named."""
    named = {name: value for name, value in (("device_id", device_id), ("device_type", device_type)) if value}
    where = " AND ".join(f"{name} = ?" for name in named) or "true"
    sql = f"(SELECT * FROM ledger WHERE {where} ORDER BY id DESC LIMIT ?) AS newest"  # noqa: S608 - fixed names
    return sql, [*named.values(), limit]


def _entry(row: Row) -> Entry:
    values: dict[str, Any] = {name: row[name] for name in COLUMNS}
    return Entry(**values | {"simulated": bool(row["simulated"]), "predictor": row["predictor"] or ""})


def _watch(row: Row) -> Watch:
    return Watch(**json.loads(row["document"]))
