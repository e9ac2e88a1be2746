"""The index from which a file's fleet is counted by health: a step of the schema, put in order by `schema.py`."""

from controller.storage.database import Schema
from controller.storage.sqlite import Database

COUNTED = ("id", "online", "status_at", "wakes_at", "live_within_s", "reading_at", "gaps")
"""What health and the missing samples of a device follow from. By id, as readings are written: few pages at a time."""


def m018_counts(db: Schema) -> None:
    """Let devices be counted without their rows, of which each is two kilobytes of documents.

    A server, which writes each reading into its row, would write to every index of it then.
    """
    if isinstance(db, Database):
        db.table("devices").create_index(COUNTED)
