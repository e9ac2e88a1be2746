"""Which numbers of a session's samples are known, as runs without a gap: a step of the schema."""

from controller.storage.database import Schema
from controller.storage.sqlite import Database

ISLANDS = """
INSERT INTO telemetry_runs (device_id, session, low, high, until)
SELECT device_id, session, min(seq), max(seq), max(ts) FROM (
    SELECT device_id, session, seq, ts,
           seq - row_number() OVER (PARTITION BY device_id, session ORDER BY seq) AS island FROM {samples}
) GROUP BY device_id, session, island
"""
"""Makes runs of `samples`, each with its own number, and none of a number that is within a run already."""


def m019_runs(db: Schema) -> None:
    """Know samples by runs of numbers, where a row for each number was kept.

    A server has its numbers in the key of its samples, as before.
    """
    if not isinstance(db, Database):
        db.execute("DROP VIEW telemetry_keys")
        db.execute(
            "CREATE VIEW telemetry_runs AS "
            "SELECT device_id, session, seq AS low, seq AS high, ts AS until FROM telemetry"
        )
        return
    db.execute(
        "CREATE TABLE telemetry_runs (device_id TEXT, session TEXT, low INTEGER, high INTEGER NOT NULL, "
        "until REAL NOT NULL, PRIMARY KEY (device_id, session, low)) STRICT, WITHOUT ROWID"
    )
    one = "(SELECT k.*, t.ts FROM telemetry_keys k JOIN telemetry t ON t.id = k.sample WHERE k.device_id = ?)"
    for (device_id,) in db.execute("SELECT DISTINCT device_id FROM telemetry_keys").fetchall():
        db.execute(ISLANDS.format(samples=one), [device_id])  # one by one: what is sorted is kept in memory
    db.execute("DROP TABLE telemetry_keys")
