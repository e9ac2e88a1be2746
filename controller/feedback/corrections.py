"""The corrections of devices and the calibrations that led to them: rows in, objects out, nothing ever overwritten."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import msgspec

from controller.feedback.calibration import Calibration
from controller.predict.calibrate import Run
from controller.predict.correction import Correction
from controller.predict.features import Features
from controller.storage.database import upsert
from controller.storage.store import Row, Store

CALIBRATION_COLUMNS = ("id", "device_id", "open", "created_at", "document")
Origin = Literal["calibration", "csv", "fleet"]
"""`fleet`: learned from the device's own deployments and benchmarks, unasked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A correction with its history; errors are mean absolute percentages, `after` on held-out runs."""

    id: int
    device_id: str
    at: float
    origin: Origin
    simulated: bool
    current: bool
    undone_at: float | None
    before_percent: float | None
    after_percent: float | None
    runs: tuple[Run, ...]
    correction: Correction


class Corrections:
    """Every correction that a device ever had; at most one of them is current."""

    def __init__(self, store: Store) -> None:
        """Keep them in `store`."""
        self._store = store

    def current(self, device_id: str) -> Kept | None:
        """Return the correction that predictions for a device use."""
        sql = "SELECT * FROM corrections WHERE device_id = ? AND current = 1"
        return next(map(_kept, self._store.query(sql, [device_id])), None)

    def all_current(self) -> dict[str, Row]:
        """Return when and how well each calibrated device was calibrated, by its id."""
        columns = "id, device_id, at, origin, simulated, before_percent, after_percent"
        sql = f"SELECT {columns} FROM corrections WHERE current = 1"  # noqa: S608 - our own columns
        return {row["device_id"]: row for row in self._store.query(sql)}

    def history(self, device_id: str, limit: int = 50) -> list[Kept]:
        """Return a device's corrections, newest first."""
        sql = "SELECT * FROM corrections WHERE device_id = ? ORDER BY id DESC LIMIT ?"
        return list(map(_kept, self._store.query(sql, [device_id, limit])))

    def add(
        self,
        device_id: str,
        correction: Correction,
        runs: Sequence[Run],
        *,
        origin: Origin,
        simulated: bool,
        before_percent: float | None,
        after_percent: float | None,
        at: float,
    ) -> int:
        """Make `correction` the device's current one; return its id."""
        self._put_aside(device_id)
        [(number,)] = self._store.connection.execute(
            "INSERT INTO corrections (device_id, at, origin, simulated, current, before_percent, after_percent, "
            "runs, document) VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?) RETURNING id",
            [
                device_id,
                at,
                origin,
                simulated,
                before_percent,
                after_percent,
                json.dumps([asdict(run) for run in runs]),
                json.dumps(correction.document),
            ],
        )
        return int(number)

    def undo(self, device_id: str, at: float) -> Kept | None:
        """Take the current correction back and return what is current now: the newest before it that was not undone."""
        sql = "UPDATE corrections SET undone_at = ?, current = 0 WHERE device_id = ? AND current = 1"
        self._store.connection.execute(sql, [at, device_id])
        self._store.connection.execute(
            "UPDATE corrections SET current = 1 WHERE id = "
            "(SELECT max(id) FROM corrections WHERE device_id = ? AND undone_at IS NULL)",
            [device_id],
        )
        return self.current(device_id)

    def undone_at(self, device_id: str) -> float:
        """Return when a correction of the device was last taken back, 0 when never."""
        sql = "SELECT max(undone_at) AS at FROM corrections WHERE device_id = ?"
        return self._store.query(sql, [device_id])[0]["at"] or 0.0

    def _put_aside(self, device_id: str) -> None:
        self._store.connection.execute("UPDATE corrections SET current = 0 WHERE device_id = ?", [device_id])


class Calibrations:
    """Every calibration there ever was."""

    def __init__(self, store: Store) -> None:
        """Keep them in `store`."""
        self._store = store

    def newest(self, device_id: str) -> Calibration | None:
        """Return the newest calibration of a device."""
        sql = "SELECT document FROM calibrations WHERE device_id = ? ORDER BY created_at DESC, id DESC LIMIT 1"
        return next(map(_calibration, self._store.query(sql, [device_id])), None)

    def open(self) -> list[Calibration]:
        """Return the calibrations that still move, oldest first."""
        sql = "SELECT document FROM calibrations WHERE open = 1 ORDER BY created_at"
        return list(map(_calibration, self._store.query(sql)))

    def put(self, calibration: Calibration) -> None:
        """Insert or replace one calibration."""
        c = calibration
        self._store.connection.execute(
            upsert("calibrations", ("id",), CALIBRATION_COLUMNS),
            [c.id, c.device_id, not c.ended, c.created_at, json.dumps(asdict(c))],
        )


def _kept(row: Row) -> Kept:
    runs = tuple(
        Run(features=Features(**each["features"]), energy_mj=each["energy_mj"]) for each in json.loads(row["runs"])
    )
    columns: dict[str, Any] = {name: row[name] for name in ("id", "device_id", "at", "origin", "undone_at")}
    errors = {name: row[name] for name in ("before_percent", "after_percent")}
    return Kept(
        **columns,
        **errors,
        simulated=bool(row["simulated"]),
        current=bool(row["current"]),
        runs=runs,
        correction=Correction.from_document(json.loads(row["document"])),
    )


def _calibration(row: Row) -> Calibration:
    return msgspec.json.decode(row["document"], type=Calibration)
