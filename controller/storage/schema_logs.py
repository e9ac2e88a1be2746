"""The tables beside the log of events: steps of the schema, put in order by `schema.py`."""

from controller.storage.database import Schema
from controller.storage.sqlite import Database


def m007_log(db: Schema) -> None:
    """Find events by kind and by who, a device's log lines at once; keep facts that were read from events before."""
    for columns in (["kind"], ["who"], ["device_id", "kind"]):
        db.table("events").create_index(columns)
    db.table("remembered").create({"name": str, "value": str}, pk="name", strict=True)
    if not isinstance(db, Database):
        return  # only files are older than this step
    db.execute(
        "INSERT INTO remembered SELECT 'predictor', json_quote(json_extract(facts, '$.answers')) FROM events "
        "WHERE kind = 'predictor' AND json_extract(facts, '$.answers') IS NOT NULL ORDER BY id DESC LIMIT 1"
    )


def m008_answers(db: Schema) -> None:
    """Keep what was answered to writes that came with a key."""
    db.table("answers").create(
        {"key": str, "fingerprint": str, "at": float, "status": int, "body": bytes}, pk="key", strict=True
    )
    db.table("answers").create_index(["at"])
