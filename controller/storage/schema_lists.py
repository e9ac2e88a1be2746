"""What large fleets are listed, counted and looked at by: a step of the schema, put in order by `schema.py`."""

from typing import Any

from controller.storage.database import Schema
from controller.storage.sqlite import Database

LISTED: dict[str, type[Any]] = {
    "device_type": str,
    "board": str,
    "ip": str,
    "words": str,
    "runs": str,
    "wakes_at": float,
    "live_within_s": float,
    "energy_mj": float,
    "latency_p95_ms": float,
    "temperature_c": float,
}
"""Of a device what lists are searched, filtered and ordered by; see `controller.storage.listed`."""
_DOCUMENTS = ("info", "status", "state", "desired", "reading")


def m016_lists(db: Schema) -> None:
    """Keep beside documents what lists ask of them, tags one a row, and when an open deployment is looked at next."""
    for name, kind in LISTED.items():
        db.table("devices").add_column(name, kind)
    if isinstance(db, Database):  # a list reads every row of a file from its beginning: documents come last there
        columns = [name for name in db.table("devices").columns_dict if name not in _DOCUMENTS]
        db.table("devices").transform(column_order=[*columns, *_DOCUMENTS])
    for column in ("wakes_at", "ip"):
        db.table("devices").create_index([column])
    db.table("device_tags").create({"device_id": str, "tag": str}, pk=("device_id", "tag"), strict=True)
    db.table("device_tags").create_index(["tag"])
    db.table("deployments").add_column("due_at", float)
    for columns in (["due_at"], ["phase"], ["created_at"], ["command_id"]):
        db.table("deployments").create_index(columns)
    for columns in (["created_at"], ["device_id", "created_at"]):
        db.table("commands").create_index(columns)
    db.execute("UPDATE deployments SET due_at = 0 WHERE open = 1")
