"""Samples in the order of their arrival, and keys by which they are known and found: a step of the schema."""

from controller.storage.database import Schema
from controller.storage.schema_rollups import FIGURES
from controller.storage.sqlite import Database

BEFORE = "telemetry_before"
"""What a file had until then; `controller.storage.moving` takes its rows over, and removes it."""
_OTHERS = (
    *("session", "seq", "received_at", *FIGURES, "energy_source", "inferences", "top1_pct"),
    *("model", "gen", "throttled", "spooled", "charging"),
)
_COLUMNS = """
device_id TEXT, ts REAL, session TEXT, seq INTEGER, received_at REAL, cpu_usage_percent REAL, ram_usage_mb REAL,
ram_usage_percent REAL, temperature_c REAL, storage_usage_mb REAL, latency_p50_ms REAL, latency_p95_ms REAL,
latency_max_ms REAL, energy_mj REAL, power_mw REAL, energy_source TEXT, inferences INTEGER, top1_pct REAL, model TEXT,
gen INTEGER, soc_pct REAL, throttled INTEGER, spooled INTEGER, charging INTEGER
"""


def m017_samples(db: Schema) -> None:
    """Append samples; a key says that one is known, another finds it by its time. `samples` is how they are read.

    A server writes its keys with each row, as before.
    """
    if not isinstance(db, Database):
        db.execute("CREATE VIEW samples AS SELECT * FROM telemetry")
        db.execute("CREATE VIEW telemetry_keys AS SELECT device_id, session, seq FROM telemetry")
        db.execute("CREATE VIEW telemetry_times AS SELECT device_id, ts FROM telemetry")
        return
    db.execute("DROP INDEX idx_telemetry_device_id_ts")
    db.execute(f"ALTER TABLE telemetry RENAME TO {BEFORE}")
    db.execute(f"CREATE TABLE telemetry (id INTEGER PRIMARY KEY, {_COLUMNS}) STRICT")
    db.execute(
        "CREATE TABLE telemetry_keys (device_id TEXT, session TEXT, seq INTEGER, sample INTEGER NOT NULL, "
        "PRIMARY KEY (device_id, session, seq)) STRICT, WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE telemetry_times (device_id TEXT, ts REAL, sample INTEGER, "
        "PRIMARY KEY (device_id, ts, sample)) STRICT, WITHOUT ROWID"
    )
    db.execute("CREATE TABLE telemetry_written (up_to INTEGER NOT NULL) STRICT")
    db.execute("INSERT INTO telemetry_written VALUES (0)")
    found = ", ".join(f"t.{name}" for name in _OTHERS)
    db.execute(
        f"CREATE VIEW samples AS SELECT x.device_id, x.ts, {found} "  # noqa: S608 - our own columns
        "FROM telemetry_times x JOIN telemetry t ON t.id = x.sample"
    )
