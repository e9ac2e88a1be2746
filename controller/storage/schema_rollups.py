"""The tables of telemetry by minute and by hour: a step of the schema, put in order by `schema.py`."""

from controller.storage.database import Schema

FIGURES = (
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
"""The quantities that are kept by minute and hour, each as its minimum, its maximum, its sum and its count."""
KEPT = (("min", float), ("max", float), ("sum", float), ("n", int))


def m011_rollups(db: Schema) -> None:
    """Keep telemetry by minute and by hour, and until when it was summed up."""
    figures = {f"{name}_{how}": kind for name in FIGURES for how, kind in KEPT}
    for table in ("telemetry_minutes", "telemetry_hours"):
        db.table(table).create(
            {
                "device_id": str,
                "ts": float,
                "energy_source": str,
                "samples": int,
                "inferences": int,
                "model": str,
                "throttled": int,
                **figures,
            },
            pk=("device_id", "ts", "energy_source"),
            not_null={"samples"},
            strict=True,
        )
    db.table("rolled").create({"device_id": str, "until": float}, pk="device_id", not_null={"until"}, strict=True)
    db.table("rolled").create_index(["until"])
    db.execute(
        "INSERT INTO rolled (device_id, until) "
        "SELECT device_id, floor(min(ts) / 3600) * 3600 FROM telemetry GROUP BY device_id"
    )
    db.execute(
        "INSERT INTO rolled (device_id, until) "
        "SELECT id, floor(registered_at / 3600) * 3600 FROM devices WHERE true ON CONFLICT DO NOTHING"
    )
