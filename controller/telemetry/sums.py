"""How samples become sums by minute, and those become sums by hour: the statements, whoever runs them.

What is due is a JSON list of (device, begin, end, hour, next hour), Unix s: its samples from `begin` to `end` become
minutes; its hours from `hour` to `next hour` are made of the minutes before `begin` that are kept, and of samples.
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


def _minutes(end: str) -> str:
    return (
        f"SELECT device_id, {_OF_SAMPLES} FROM json_each(:due) AS due CROSS JOIN samples "  # noqa: S608 - our own columns
        f"WHERE device_id = {_DEVICE} AND ts >= {_BEGIN} AND ts < {end} GROUP BY device_id, minute, source"
    )


MINUTES = _minutes(_END)
HOURS = (
    f"SELECT device_id, {_OF_MINUTES} FROM ("  # noqa: S608 - our own columns
    f"SELECT {_NAMES} FROM json_each(:due) AS due CROSS JOIN telemetry_minutes "
    f"WHERE device_id = {_DEVICE} AND ts >= {_HOUR} AND ts < min({_BEGIN}, {_NEXT_HOUR}) "
    f"UNION ALL SELECT * FROM ({_minutes(_NEXT_HOUR)})) GROUP BY device_id, hour, energy_source"
)
"""Of many devices, to be read from a file and written by the two below."""

_PUT = f"({_NAMES}) VALUES ({', '.join('?' * len(COLUMNS))}) {_CONFLICT}"
PUT_MINUTE = f"INSERT INTO telemetry_minutes {_PUT}"
PUT_HOUR = f"INSERT INTO telemetry_hours {_PUT} {_WHOLE}"
