"""The order of a rollout's devices as a column: a step of the schema, put in order by `schema.py`."""

from controller.storage.database import Schema
from controller.storage.sqlite import Database


def m014_places(db: Schema) -> None:
    """Keep the devices of a rollout in the order in which they joined it."""
    db.table("rollout_devices").add_column("place", int)
    if isinstance(db, Database):  # only files are older than this step
        db.execute("UPDATE rollout_devices SET place = rowid")
