"""Samples over time: stored in batches, read back in buckets that keep their minimum and maximum."""

from collections.abc import Iterable, Sequence
from typing import Any

from broker.messages import Telemetry
from controller.schema import SAMPLE_COLUMNS
from controller.store import Row, Store

_INSERT = (
    f"INSERT INTO telemetry (device_id, ts, session, seq, received_at, {', '.join(SAMPLE_COLUMNS)}) "  # noqa: S608 - our own columns
    f"VALUES ({', '.join('?' * (5 + len(SAMPLE_COLUMNS)))}) ON CONFLICT DO NOTHING"
)

CHARTED = (
    "cpu_usage_percent",
    "ram_usage_mb",
    "ram_usage_percent",
    "temperature_c",
    "storage_usage_mb",
    "latency_p50_ms",
    "latency_p95_ms",
    "latency_max_ms",
    "energy_mj",
    "power_mw",
    "soc_pct",
)
COURSES = ("latency_p95_ms", "energy_mj")
"""What the list of devices draws beside its figures."""
MAX_POINTS = 2_000


def add_samples(store: Store, samples: Iterable[tuple[str, Telemetry, float]]) -> None:
    """Store (device, sample, received at); a sample that came before is ignored."""
    store.connection.executemany(_INSERT, [_row(*sample) for sample in samples])


def read_buckets(store: Store, device_id: str, *, since: float, until: float, points: int) -> tuple[float, list[Row]]:
    """Return (bucket length in s, buckets oldest first) of one device between two Unix times.

    Each bucket has `ts` (its beginning), `samples`, `inferences`, `model`, `energy_source`, `throttled` (1 when a
    sample of it was, None where none said) and for each charted quantity a dict min / mean / max, or None where
    nothing was reported. Energies of different sources are never averaged: each source has buckets of its own.
    """
    bucket_s = max(1.0, (until - since) / max(1, min(points, MAX_POINTS)))
    figures = ", ".join(f"min({c}) AS {c}_min, avg({c}) AS {c}_mean, max({c}) AS {c}_max" for c in CHARTED)
    rows = store.query(
        f"SELECT CAST(floor((ts - :since) / :size) AS INTEGER) AS bucket, count(*) AS samples, "  # noqa: S608 - our own columns
        f"sum(inferences) AS inferences, max(model) AS model, max(throttled) AS throttled, energy_source, {figures} "
        "FROM telemetry "
        f"WHERE device_id = :device AND ts >= :since AND ts <= :until GROUP BY bucket, energy_source ORDER BY bucket",
        {"since": since, "until": until, "size": bucket_s, "device": device_id},
    )
    return bucket_s, [_bucket(row, since, bucket_s) for row in rows]


def read_courses(
    store: Store, device_ids: Sequence[str], *, since: float, until: float, points: int
) -> dict[str, dict[str, list[float | None]]]:
    """Return by device the course of its latency (highest p95) and energy (mean) in `points` buckets, oldest first.

    Energies of different sources are not told apart here: a course shows a shape, not a figure.
    """
    size = max(1.0, (until - since) / max(1, points))
    rows = store.query(
        "SELECT device_id, CAST(floor((ts - ?) / ?) AS INTEGER) AS bucket, max(latency_p95_ms) AS latency_p95_ms, "  # noqa: S608 - marks only
        f"avg(energy_mj) AS energy_mj FROM telemetry WHERE device_id IN ({', '.join('?' * len(device_ids))}) "
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
    known = {name: row[name] for name in ("samples", "inferences", "model", "throttled", "energy_source")}
    charted = {
        c: None if row[f"{c}_mean"] is None else {how: round(row[f"{c}_{how}"], 4) for how in ("min", "mean", "max")}
        for c in CHARTED
    }
    return {"ts": since + row["bucket"] * bucket_s, **known, **charted}


def _row(device_id: str, sample: Telemetry, received_at: float) -> tuple[Any, ...]:
    latency, energy = sample.latency_ms, sample.energy
    values: dict[str, Any] = {
        "latency_p50_ms": latency.p50 if latency else None,
        "latency_p95_ms": latency.p95 if latency else None,
        "latency_max_ms": latency.max if latency else None,
        "energy_mj": energy.energy_mj if energy else None,
        "power_mw": energy.power_mw if energy else None,
        "energy_source": energy.source if energy else None,
    }
    row = [values[c] if c in values else getattr(sample, c) for c in SAMPLE_COLUMNS]
    return (device_id, sample.ts, sample.session, sample.seq, received_at, *row)
