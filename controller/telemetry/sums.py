"""How samples become sums by minute, and those become sums by hour: the statements, whoever runs them.

What is due is a JSON list of (device, begin, end, hour, next hour), Unix s: its samples from `begin` to `end` become
minutes; its hours from `hour` to `next hour` are made of the minutes before `begin` that are kept, and of these.
"""

from controller.storage.schema_rollups import FIGURES

COLUMNS = (
    *("device_id", "ts", "energy_source", "samples", "inferences", "model", "throttled", "charging_sum", "charging_n"),
    *(f"{f}_{how}" for f in FIGURES for how in ("min", "max", "sum", "n")),
)
_NAMES = ", ".join(COLUMNS)
_REPLACE = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[3:])
_CONFLICT = f"ON CONFLICT (device_id, ts, energy_source) DO UPDATE SET {_REPLACE}"
_WHOLE = "WHERE excluded.samples >= telemetry_hours.samples"
"""An hour of which some minutes are gone by now stays as it was when they were there."""

_OF_SAMPLES = "floor(ts / 60) * 60 AS minute, coalesce(energy_source, '') AS source, count(*), " + ", ".join(
    (
        "sum(inferences), max(model), max(throttled), sum(charging), count(charging)",
        *(f"min({f}), max({f}), sum({f}), count({f})" for f in FIGURES),
    )
)
_OF_MINUTES = "floor(ts / 3600) * 3600 AS hour, energy_source, sum(samples), " + ", ".join(
    (
        "sum(inferences), max(model), max(throttled), sum(charging_sum), sum(charging_n)",
        *(f"min({f}_min), max({f}_max), sum({f}_sum), sum({f}_n)" for f in FIGURES),
    )
)

ADD_MINUTES = (
    f"INSERT INTO telemetry_minutes ({_NAMES}) SELECT :device, {_OF_SAMPLES} FROM samples "  # noqa: S608 - our own columns
    f"WHERE device_id = :device AND ts >= :begin AND ts < :end GROUP BY minute, source {_CONFLICT}"
)
ADD_HOURS = (
    f"INSERT INTO telemetry_hours ({_NAMES}) SELECT :device, {_OF_MINUTES} FROM telemetry_minutes "  # noqa: S608 - our own columns
    f"WHERE device_id = :device AND ts >= :begin AND ts < :end GROUP BY hour, energy_source {_CONFLICT} {_WHOLE}"
)
"""Of one device, where it is written: every database understands these."""

_DEVICE, _BEGIN, _END, _HOUR, _NEXT_HOUR = (f"json_extract(due.value, '$[{n}]')" for n in range(5))

TABLES = tuple(
    f"CREATE TABLE {table} ({_NAMES}, PRIMARY KEY (device_id, ts, energy_source)) WITHOUT ROWID"
    for table in ("made_minutes", "made_hours")
)
MAKE_MINUTES = (
    f"INSERT INTO made_minutes SELECT device_id, {_OF_SAMPLES} FROM json_each(:due) AS due CROSS JOIN samples "  # noqa: S608 - our own columns
    f"WHERE device_id = {_DEVICE} AND ts >= {_BEGIN} AND ts < {_END} GROUP BY device_id, minute, source"
)
MAKE_HOURS = (
    f"INSERT INTO made_hours SELECT device_id, {_OF_MINUTES} FROM ("  # noqa: S608 - our own columns
    f"SELECT {_NAMES} FROM json_each(:due) AS due CROSS JOIN telemetry_minutes "
    f"WHERE device_id = {_DEVICE} AND ts >= {_HOUR} AND ts < min({_BEGIN}, {_NEXT_HOUR}) "
    f"UNION ALL SELECT {_NAMES} FROM json_each(:due) AS due CROSS JOIN made_minutes "
    f"WHERE device_id = {_DEVICE} AND ts < {_NEXT_HOUR}) GROUP BY device_id, hour, energy_source"
)
CUT_MINUTES = "DELETE FROM made_minutes WHERE device_id = ? AND ts >= ?"
CUT_HOURS = "DELETE FROM made_hours WHERE device_id = ? AND ts >= ?"
"""Of many devices, beside whoever writes, into tables in memory."""

TAKE_MINUTES = f"INSERT INTO telemetry_minutes ({_NAMES}) SELECT {_NAMES} FROM made.made_minutes WHERE true {_CONFLICT}"  # noqa: S608 - our own columns
TAKE_HOURS = (
    f"INSERT INTO telemetry_hours ({_NAMES}) SELECT {_NAMES} FROM made.made_hours WHERE true {_CONFLICT} {_WHOLE}"  # noqa: S608 - our own columns
)
"""What was made there is taken over as it is: no value of it becomes an object of Python."""
