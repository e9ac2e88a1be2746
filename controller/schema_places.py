"""The order of a rollout's devices as a column: a step of the schema that `controller.schema` puts in its place."""

from controller.database import Schema
from controller.sqlite import Database


def m014_places(db: Schema) -> None:
    """Keep the devices of a rollout in the order in which they joined it."""
    db.table("rollout_devices").add_column("place", int)
    if isinstance(db, Database):  # only files are older than this step
        db.execute("UPDATE rollout_devices SET place = rowid")
