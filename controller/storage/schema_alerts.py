"""The tables of alerts: a step of the schema, put in order by `schema.py`."""

from controller.storage.database import Schema


def m010_alerts(db: Schema) -> None:
    """Keep rules that people made or changed, how rules stand, silences, and notices that wait for their receiver."""
    db.table("alert_rules").create({"name": str, "document": str, "at": float, "who": str}, pk="name", strict=True)
    db.table("alerts").create(
        {
            "rule": str,
            "subject": str,
            "scope": str,
            "device_id": str,
            "severity": str,
            "standing": str,
            "open": int,
            "acknowledged": int,
            "since": float,
            "document": str,
        },
        pk=("rule", "subject"),
        strict=True,
    )
    for columns in (["device_id"], ["standing"], ["open", "severity"]):
        db.table("alerts").create_index(columns)
    db.table("alert_silences").create(
        {"id": str, "device_id": str, "rule": str, "at": float, "until": float, "who": str, "why": str},
        pk="id",
        strict=True,
    )
    db.table("alert_outbox").create(
        {"id": int, "at": float, "payload": str, "tries": int, "next_at": float}, pk="id", strict=True
    )
    db.table("alert_outbox").create_index(["next_at"])
