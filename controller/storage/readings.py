"""The newest reading of each device: in memory until its turn comes, because the next one replaces it within seconds.

A reading changes the row of its device, a page of the file; where a hundred thousand devices report every few seconds,
that would be most of what is written, and replaced before anybody looked. What is read, by the view `fleet`, is always
the newest. After a kill it is found again in the samples, which are committed: as far as they have columns for it.
"""

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import filterfalse
from types import MappingProxyType
from typing import Any

from broker.messages import Energy, Latency, Telemetry
from controller import quick
from controller.storage import listed
from controller.storage.database import Connection
from controller.storage.encoding import encoded
from controller.storage.sqlite import SQLiteConnection

Newest = dict[str, tuple[Telemetry, float]]
"""By device its newest live sample, or what has the attributes of one, and when it came (Unix s)."""

Payloads = dict[str, bytes]
"""By device what such a sample was read from, empty where that says something else: less to keep than the sample."""

_NAMES = ("reading_at", *listed.FIGURES)
_FIGURES = ", ".join(_NAMES)
_PUT = (
    f"UPDATE devices SET {', '.join(f'{name} = ?' for name in _NAMES)}, reading = ? "  # noqa: S608 - our own columns
    "WHERE id = ? AND coalesce(reading_at, 0) <= ?"
)
_NEWEST = (
    f"CREATE TEMP TABLE newest_readings (device INTEGER PRIMARY KEY, {', '.join(f'{name} REAL' for name in _NAMES)})"
)
_HOLD = f"INSERT OR REPLACE INTO newest_readings (device, {_FIGURES}) VALUES (?{', ?' * len(_NAMES)})"  # noqa: S608 - our own columns
_NUMBERS = "SELECT id, rowid FROM devices WHERE id IN (SELECT value FROM json_each(?))"
_HELD = "SELECT d.id FROM newest_readings n JOIN devices d ON d.rowid = n.device"
_KEEP = (
    f"UPDATE devices SET {', '.join(f'{name} = n.{name}' for name in _NAMES)}, reading = held_reading(devices.id) "  # noqa: S608 - same
    "FROM newest_readings n WHERE n.device = devices.rowid AND devices.id IN (SELECT value FROM json_each(?)) "
    "AND coalesce(devices.reading_at, 0) <= n.reading_at"
)
_PLAIN = (
    *("ts", "session", "seq", "cpu_usage_percent", "ram_usage_mb", "ram_usage_percent", "temperature_c"),
    *("storage_usage_mb", "inferences", "top1_pct", "model", "gen", "soc_pct"),
)
"""What a sample and its row call by the same name."""
_FORGET = "DELETE FROM newest_readings WHERE device = ?"
_LOST = """
SELECT t.* FROM telemetry t JOIN devices d ON d.id = t.device_id WHERE t.received_at > coalesce(d.reading_at, 0)
AND t.id IN (SELECT max(id) FROM telemetry WHERE id > (SELECT up_to FROM telemetry_written) AND coalesce(spooled, 0) = 0
             GROUP BY device_id)
"""


@dataclass(slots=True)
class _Known:
    """What is known of a device: its number in `devices`, its newest sample as JSON, and when that came (Unix s)."""

    number: int
    payload: bytes = b""
    at: float = -math.inf


class Readings:
    """Puts readings where `fleet` shows them; call it inside a transaction."""

    def __init__(self, connection: Connection) -> None:
        """Make `fleet`: the table of devices, each with its newest reading."""
        self._connection = connection
        self._held = False
        self._known: dict[str, _Known] = {}
        self._asked: set[str] = set()
        self._unsure: set[str] = set()
        if not isinstance(connection, SQLiteConnection):
            connection.execute("CREATE TEMP VIEW fleet AS SELECT * FROM devices")
            return
        connection.create_function("held_reading", 1, lambda device_id: _document(self._known[device_id].payload))
        connection.execute(_NEWEST)
        names = [row[1] for row in connection.execute("PRAGMA table_info(devices)")]
        newest = {name: f"n.{name}" for name in _NAMES} | {"reading": "held_reading(d.id)"}
        columns = ", ".join(
            f"CASE WHEN n.device IS NULL THEN d.{name} ELSE {newest[name]} END AS {name}"
            if name in newest
            else f"d.{name}"
            for name in names
        )
        held = "LEFT JOIN newest_readings n ON n.device = d.rowid"
        connection.execute(f"CREATE TEMP VIEW fleet AS SELECT {columns} FROM devices d {held}")  # noqa: S608 - our own columns

    def put(self, newest: Newest, payloads: Mapping[str, bytes] = MappingProxyType({})) -> None:
        """Let these be the newest, unless there are newer ones."""
        if self._held:
            self._hold(newest, payloads)
            return
        ordered = [(device_id, *newest[device_id]) for device_id in sorted(newest)]  # one order: no deadlock
        self._connection.executemany(
            _PUT, [(at, *listed.figures(sample), encoded(sample), device_id, at) for device_id, sample, at in ordered]
        )

    def newest(self, device_id: str, at: float) -> bytes | None:
        """Return as JSON a device's newest sample, which came at `at`, where it is in memory."""
        known = self._known.get(device_id)
        return known.payload if known is not None and known.at == at else None

    def hold(self) -> None:
        """Keep in memory what comes from now on, until `keep`; first find what a kill has cost."""
        if isinstance(self._connection, SQLiteConnection):
            cursor = self._connection.execute(_LOST)
            names = [column[0] for column in cursor.description]
            lost = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
            self._held = True
            self.put({row["device_id"]: (_sample(row), row["received_at"]) for row in lost})

    def held(self) -> list[str]:
        """Return the devices whose reading is in memory alone."""
        return [row[0] for row in self._connection.execute(_HELD)] if self._held else []

    def keep(self, device_ids: list[str]) -> None:
        """Write the readings of these devices down."""
        if self._held:
            self._connection.execute(_KEEP, [json.dumps(device_ids)])
            self._let_go(device_ids)

    def forget(self, device_id: str) -> None:
        """Let go of the reading of a device that will be no more."""
        if self._held:
            self._let_go([device_id])
            self._unsure.add(device_id)

    def committed(self) -> None:
        """Be told that the transaction ended well."""
        self._asked.clear()

    def rolled_back(self) -> None:
        """Be told that what was done in the transaction, or in a part of it, is undone: a device may have no row."""
        self._unsure |= self._asked

    def _hold(self, newest: Newest, payloads: Mapping[str, bytes]) -> None:
        self._number(newest)
        rows = []
        for name, (sample, at) in newest.items():
            known = self._known.get(name)
            if known is not None and known.at <= at:
                known.payload, known.at = payloads.get(name) or encoded(sample).encode(), at
                rows.append((known.number, at, *listed.figures(sample)))
        self._connection.executemany(_HOLD, rows)

    def _let_go(self, device_ids: list[str]) -> None:
        self._number(device_ids)
        gone = [(self._known[name].number,) for name in device_ids if name in self._known]
        self._connection.executemany(_FORGET, gone)

    def _number(self, device_ids: Collection[str]) -> None:
        """Ask for the numbers by which `devices` knows these, where we do not."""
        unsure = self._unsure.intersection(device_ids) if self._unsure else ()
        unknown = [*filterfalse(self._known.__contains__, device_ids), *unsure]
        if not unknown:
            return
        numbers = dict(self._connection.execute(_NUMBERS, [json.dumps(unknown)]))
        self._unsure.difference_update(unknown)
        self._asked.update(unknown)
        for name in unknown:
            known, number = self._known.pop(name, None), numbers.get(name)
            if number is not None:
                self._known[name] = known if known and known.number == number else _Known(number)


def _document(payload: bytes) -> str:
    """Return what is stored of a sample's payload: what is known of such messages, other than the defaults."""
    sample = quick.read(payload)
    return payload.decode() if sample is None else str(encoded(sample))


def _sample(row: dict[str, Any]) -> Telemetry:
    """Return the sample that became a row of `telemetry`, as far as there are columns for it."""
    told = {name: row[name] for name in _PLAIN}
    told |= {name: None if row[name] is None else bool(row[name]) for name in ("throttled", "charging")}
    latency = [row[f"latency_{name}_ms"] for name in ("p50", "p95", "max")]
    if latency[0] is not None:
        told["latency_ms"] = Latency(p50=latency[0], p95=latency[1], max=latency[2])
    if row["energy_source"] is not None:
        told["energy"] = Energy(source=row["energy_source"], energy_mj=row["energy_mj"], power_mw=row["power_mw"])
    return Telemetry(**told)
