"""The newest reading of each device: in memory until its turn comes, because the next one replaces it within seconds.

A reading changes the row of its device, a page of the file; where a hundred thousand devices report every few seconds,
that would be most of what is written, and replaced before anybody looked. What is read, by the view `fleet`, is always
the newest. After a kill it is found again in the samples, which are committed: as far as they have columns for it.
"""

import json
from collections.abc import Iterable
from typing import Any

from controller.storage import listed
from controller.storage.database import Connection
from controller.storage.encoding import encoded
from controller.storage.sqlite import SQLiteConnection

Reading = tuple[str, str, float]
"""The id of a device, its reading as JSON, and when it came (Unix s)."""

_NAMES = ("reading", "reading_at", *listed.FIGURES)
_LATENCIES = {"p50": "latency_p50_ms", "p95": "latency_p95_ms", "max": "latency_max_ms"}
_COSTS = ("energy_mj", "power_mw")
_MARKS = ", ".join("?" * len(_NAMES))
_PUT = (
    f"UPDATE devices SET {', '.join(f'{name} = ?' for name in _NAMES)} "  # noqa: S608 - our own columns
    "WHERE id = ? AND coalesce(reading_at, 0) <= ?"
)
_NEWEST = (
    "CREATE TEMP TABLE newest_readings (id TEXT PRIMARY KEY, reading_at REAL, "
    f"{', '.join(f'{name} REAL' for name in listed.FIGURES)}, reading TEXT) WITHOUT ROWID"
)
_HOLD = (
    f"INSERT INTO newest_readings ({', '.join(_NAMES)}, id) VALUES ({_MARKS}, ?) "  # noqa: S608 - same
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _NAMES)} "
    "WHERE reading_at <= excluded.reading_at"
)
_KEEP = (
    f"UPDATE devices SET {', '.join(f'{name} = n.{name}' for name in _NAMES)} "  # noqa: S608 - same
    "FROM newest_readings n WHERE n.id = devices.id AND n.id IN (SELECT value FROM json_each(?)) "
    "AND coalesce(devices.reading_at, 0) <= n.reading_at"
)
_FORGET = "DELETE FROM newest_readings WHERE id IN (SELECT value FROM json_each(?))"
_LOST = """
SELECT t.* FROM telemetry t JOIN devices d ON d.id = t.device_id WHERE t.received_at > coalesce(d.reading_at, 0)
AND t.id IN (SELECT max(id) FROM telemetry WHERE id > (SELECT up_to FROM telemetry_written) AND coalesce(spooled, 0) = 0
             GROUP BY device_id)
"""


class Readings:
    """Puts readings where `fleet` shows them; call it inside a transaction."""

    def __init__(self, connection: Connection) -> None:
        """Make `fleet`: the table of devices, each with its newest reading."""
        self._connection = connection
        self._held = False
        if not isinstance(connection, SQLiteConnection):
            connection.execute("CREATE TEMP VIEW fleet AS SELECT * FROM devices")
            return
        names = [row[1] for row in connection.execute("PRAGMA table_info(devices)")]
        columns = ", ".join(
            f"CASE WHEN n.id IS NULL THEN d.{name} ELSE n.{name} END AS {name}" if name in _NAMES else f"d.{name}"
            for name in names
        )
        connection.execute(_NEWEST)
        connection.execute(
            f"CREATE TEMP VIEW fleet AS SELECT {columns} FROM devices d LEFT JOIN newest_readings n ON n.id = d.id"  # noqa: S608 - our own columns
        )

    def put(self, readings: Iterable[Reading]) -> None:
        """Let these be the newest, unless there are newer ones."""
        ordered = sorted(readings)  # one order: no deadlock
        told = [(text, at, *listed.figures(text), device_id) for device_id, text, at in ordered]
        if self._held:
            self._connection.executemany(_HOLD, told)
        else:
            self._connection.executemany(_PUT, [(*each, each[1]) for each in told])

    def hold(self) -> None:
        """Keep in memory what comes from now on, until `keep`; first find what a kill has cost."""
        if isinstance(self._connection, SQLiteConnection):
            cursor = self._connection.execute(_LOST)
            names = [column[0] for column in cursor.description]
            lost = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
            self._held = True
            self.put((row["device_id"], encoded(_reading(row)), row["received_at"]) for row in lost)

    def held(self) -> list[str]:
        """Return the devices whose reading is in memory alone."""
        return [row[0] for row in self._connection.execute("SELECT id FROM newest_readings")] if self._held else []

    def keep(self, device_ids: list[str]) -> None:
        """Write the readings of these devices down."""
        if self._held:
            self._connection.execute(_KEEP, [json.dumps(device_ids)])
            self.forget(device_ids)

    def forget(self, device_ids: list[str]) -> None:
        """Let go of the readings of these devices that are in memory."""
        if self._held:
            self._connection.execute(_FORGET, [json.dumps(device_ids)])


def _reading(row: dict[str, Any]) -> dict[str, Any]:
    """Return the reading that became a row of `telemetry`, as far as there are columns for it."""
    own = ("device_id", "id", "received_at", "spooled", "energy_source", *_COSTS, *_LATENCIES.values())
    plain = {name: value for name, value in row.items() if name not in own and value is not None}
    for name in plain.keys() & {"throttled", "charging"}:
        plain[name] = bool(plain[name])
    if row["latency_p50_ms"] is not None:
        plain["latency_ms"] = {name: row[column] for name, column in _LATENCIES.items()}
    if row["energy_source"] is not None:
        costs = {name: row[name] for name in _COSTS if row[name] is not None}
        plain["energy"] = {"source": row["energy_source"], **costs}
    return plain
