"""Samples over time: stored in batches, read back in buckets that keep their minimum and maximum."""

import math
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

from broker.errors import StorageError
from broker.messages import Telemetry
from controller.storage.database import VALUE_REFUSED
from controller.storage.schema import SAMPLE_COLUMNS
from controller.storage.schema_rollups import FIGURES
from controller.storage.store import Row, Store
from controller.telemetry.rollups import HOUR_S, MINUTE_S, floor_to, note_late

_LATENCIES = ("latency_p50_ms", "latency_p95_ms", "latency_max_ms")
_ENERGIES = ("energy_mj", "power_mw", "energy_source")
_OWN = (*(name for name in SAMPLE_COLUMNS if name not in (*_LATENCIES, *_ENERGIES)), "charging")
_own = attrgetter(*_OWN)
_COLUMNS = ("device_id", "ts", "session", "seq", "received_at", *_OWN, *_LATENCIES, *_ENERGIES)
_NO_LATENCY = _NO_ENERGY = (None, None, None)

CHARTED = FIGURES
COURSES = ("latency_p95_ms", "energy_mj")
"""What the list of devices draws beside its figures."""
MAX_POINTS = 2_000
MAX_CLOCK_SKEW_S = 86_400.0
EARLIEST_TS = 1_577_836_800.0
"""2020-01-01: a board that says it is earlier has no clock."""

_ONE = ", ".join(
    f"{c} AS {c}_min, {c} AS {c}_max, {c} AS {c}_sum, CASE WHEN {c} IS NULL THEN 0 ELSE 1 END AS {c}_n" for c in CHARTED
)
_SUMMED = ", ".join(f"{c}_min, {c}_max, {c}_sum, {c}_n" for c in CHARTED)
_MERGED = ", ".join(
    f"min({c}_min) AS {c}_min, max({c}_max) AS {c}_max, sum({c}_sum) / nullif(sum({c}_n), 0) AS {c}_mean"
    for c in CHARTED
)
_SAMPLES = (
    "SELECT ts, 1 AS samples, inferences, model, throttled, coalesce(energy_source, '') AS energy_source, "  # noqa: S608 - our own columns
    f"charging AS charging_sum, CASE WHEN charging IS NULL THEN 0 ELSE 1 END AS charging_n, {_ONE} FROM samples"
)
_MINUTES, _HOURS = (
    f"SELECT ts, samples, inferences, model, throttled, energy_source, charging_sum, charging_n, {_SUMMED} "  # noqa: S608 - our own columns
    f"FROM {table}"
    for table in ("telemetry_minutes", "telemetry_hours")
)


def row(device_id: str, sample: Any, ts: float, received_at: float) -> tuple[Any, ...]:
    """Return what `add_rows` writes for a sample, anything with a `Telemetry`'s attributes, taken at `ts`."""
    latency, energy = sample.latency_ms, sample.energy
    took = _NO_LATENCY if latency is None else (latency.p50, latency.p95, latency.max)
    cost = _NO_ENERGY if energy is None else (energy.energy_mj, energy.power_mw, energy.source)
    return (device_id, ts, sample.session, sample.seq, received_at, *_own(sample), *took, *cost)


def add_rows(store: Store, rows: Sequence[tuple[Any, ...]]) -> int:
    """Store what `row` made, each once, and return how many the database has no place for."""
    refused = _add(store, rows) if rows else 0
    note_late(store, ((row[0], row[1], row[4]) for row in rows))
    return refused


def _add(store: Store, rows: Sequence[tuple[Any, ...]]) -> int:
    try:
        with store.savepoint():
            store.samples.add(_COLUMNS, rows)
    except StorageError as error:
        if error.code != VALUE_REFUSED:
            raise
        half = len(rows) // 2
        return _add(store, rows[:half]) + _add(store, rows[half:]) if half else 1
    return 0


def add_samples(store: Store, samples: Iterable[tuple[str, Telemetry, float]]) -> int:
    """Store (device, sample, received at), each once, and return how many the database has no place for."""
    return add_rows(store, [row(device_id, sample, sample.ts or at, at) for device_id, sample, at in samples])


def read_buckets(store: Store, device_id: str, *, since: float, until: float, points: int) -> tuple[float, list[Row]]:
    """Return (bucket length in s, buckets oldest first) of one device between two Unix times.

    Each bucket has `ts` (its beginning), `samples`, `inferences`, `model`, `energy_source`, `throttled` (1 when a
    sample of it was, None where none said), `charging_share` (of the samples that said whether the battery charged, how
    many of 1 said it did; None where none said) and for each charted quantity a dict min / mean / max, or None where
    nothing was reported. Energies of different sources are never averaged: each source has buckets of its own.
    Buckets of a minute and more are made of whole minutes, those of an hour and more of whole hours.
    """
    size = max(1.0, (until - since) / max(1, min(points, MAX_POINTS)))
    unit = next((unit for unit in (HOUR_S, MINUTE_S) if size >= unit), None)
    if unit is not None:
        size, since = math.ceil(size / unit) * unit, floor_to(since, unit)
    store.settle(device_id)
    pieces = _pieces(_rolled_until(store, device_id), since, until, unit)
    selects = " UNION ALL ".join(
        f"{select} WHERE device_id = ? AND ts >= ? AND ts {end} ?" for select, _, _, end in pieces
    )
    rows = store.query(
        f"SELECT CAST(floor((ts - ?) / ?) AS INTEGER) AS bucket, sum(samples) AS samples, "  # noqa: S608 - our own columns
        f"sum(inferences) AS inferences, max(model) AS model, max(throttled) AS throttled, "
        f"1.0 * sum(charging_sum) / nullif(sum(charging_n), 0) AS charging_share, energy_source, {_MERGED} "
        f"FROM ({selects}) AS pieces GROUP BY bucket, energy_source ORDER BY bucket, energy_source",
        [since, size, *(value for _, begin, end, _ in pieces for value in (device_id, begin, end))],
    )
    return size, [_bucket(row, since, size) for row in rows]


def _rolled_until(store: Store, device_id: str) -> float:
    rows = store.query("SELECT until FROM rolled WHERE device_id = ?", [device_id])
    return float(rows[0]["until"]) if rows else 0.0


def _pieces(rolled: float, since: float, until: float, unit: float | None) -> list[tuple[str, float, float, str]]:
    """Return what to read from where, with its times and how the last one is compared: no sample is read twice."""
    summed = max(since, min(rolled, floor_to(until, MINUTE_S))) if unit is not None else since
    hours = max(since, floor_to(summed, HOUR_S)) if unit == HOUR_S else since
    pieces = [(_HOURS, since, hours, "<"), (_MINUTES, hours, summed, "<"), (_SAMPLES, summed, until, "<=")]
    return [each for each in pieces if each[1] < each[2] or each[3] == "<="]


def read_courses(
    store: Store, device_ids: Sequence[str], *, since: float, until: float, points: int
) -> dict[str, dict[str, list[float | None]]]:
    """Return by device the course of its latency (highest p95) and energy (mean) in `points` buckets, oldest first.

    Energies of different sources are not told apart here: a course shows a shape, not a figure.
    """
    size = max(1.0, (until - since) / max(1, points))
    store.settle(*device_ids)
    rows = store.query(
        "SELECT device_id, CAST(floor((ts - ?) / ?) AS INTEGER) AS bucket, max(latency_p95_ms) AS latency_p95_ms, "  # noqa: S608 - marks only
        f"avg(energy_mj) AS energy_mj FROM samples WHERE device_id IN ({', '.join('?' * len(device_ids))}) "
        "AND ts >= ? AND ts < ? GROUP BY device_id, bucket",
        [since, size, *device_ids, since, until],
    )
    found: dict[str, dict[str, list[float | None]]] = {
        device_id: {name: [None] * points for name in COURSES} for device_id in device_ids
    }
    for row in rows:
        for name in COURSES:
            if row["bucket"] < points and row[name] is not None:
                found[row["device_id"]][name][row["bucket"]] = round(row[name], 4)
    return found


def _bucket(row: Row, since: float, bucket_s: float) -> Row:
    known = {name: row[name] for name in ("samples", "inferences", "model", "throttled")}
    known["energy_source"] = row["energy_source"] or None
    known["charging_share"] = None if row["charging_share"] is None else round(row["charging_share"], 4)
    charted = {
        c: None if row[f"{c}_mean"] is None else {how: round(row[f"{c}_{how}"], 4) for how in ("min", "mean", "max")}
        for c in CHARTED
    }
    return {"ts": since + row["bucket"] * bucket_s, **known, **charted}
