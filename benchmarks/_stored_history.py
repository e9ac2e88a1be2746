"""What the controller has stored of a device, read beside it: numbers, gaps, and what minutes and hours should be."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SUMS = (
    "SELECT floor(ts / {unit}) * {unit} AS at, count(*), round(sum(cpu_usage_percent), 3), min(temperature_c), "
    "max(latency_p95_ms), sum(inferences), round(sum(energy_mj), 3), coalesce(energy_source, '') AS source "
    "FROM telemetry WHERE device_id = :device GROUP BY at, source HAVING at < :until ORDER BY at, source"
)
_SUMMED_UP = (
    "SELECT ts, samples, round(cpu_usage_percent_sum, 3), temperature_c_min, latency_p95_ms_max, inferences, "
    "round(energy_mj_sum, 3), energy_source FROM {table} WHERE device_id = :device AND ts < :until "
    "ORDER BY ts, energy_source"
)
_UNITS = ((60, "telemetry_minutes"), (3_600, "telemetry_hours"))


@dataclass(frozen=True, slots=True)
class Stored:
    """The rows of `device` in `database`; its history is of `session`."""

    database: Path
    device: str
    session: str

    @property
    def count(self) -> int:
        """How many samples of the history are there."""
        return int(self._ask("SELECT count(*) FROM telemetry WHERE device_id = :device AND session = :session")[0][0])

    def numbers(self) -> list[int]:
        """Return the number of each sample of the history."""
        found = self._ask("SELECT seq FROM telemetry WHERE device_id = :device AND session = :session")
        return [seq for (seq,) in found]

    @property
    def gaps(self) -> int:
        """How many readings the device is said to have lost."""
        return int(self._ask("SELECT gaps FROM devices WHERE id = :device")[0][0])

    @property
    def missing(self) -> int:
        """How many are missing between the first and the last of each session."""
        each = "SELECT max(seq) - min(seq) + 1 - count(DISTINCT seq) AS n FROM telemetry WHERE device_id = :device"
        return int(self._ask(f"SELECT sum(n) FROM ({each} GROUP BY session) AS sessions")[0][0])

    def late_ms(self) -> list[float]:
        """Return how long after it was taken each live sample came."""
        sql = "SELECT 1e3 * (received_at - ts) FROM telemetry WHERE device_id = :device AND coalesce(spooled, 0) = 0"
        return [late for (late,) in self._ask(sql)]

    def is_summed_up(self) -> bool:
        """Return whether minutes and hours are made of all of the history."""
        return self._until() > self._ask("SELECT max(ts) FROM telemetry WHERE session = :session")[0][0]

    def rollups(self) -> tuple[int, int]:
        """Return how many minutes and hours there are, and how many are not what their samples are, or are missing."""
        until = self._until()
        rows = unlike = 0
        for unit, table in _UNITS:
            whole = until - until % unit
            made = set(self._ask(_SUMMED_UP.format(table=table), whole))
            rows += len(made)
            unlike += len(made ^ set(self._ask(_SUMS.format(unit=unit), whole)))
        return rows, unlike

    def _until(self) -> float:
        return float(self._ask("SELECT until FROM rolled WHERE device_id = :device")[0][0])

    def _ask(self, sql: str, until: float = 0.0) -> list[Any]:
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30.0)) as reading:
            asked = {"device": self.device, "session": self.session, "until": until}
            return reading.execute(sql, asked).fetchall()
