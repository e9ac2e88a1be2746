"""The indexes by which what a model cost is found: a step of the schema, put in order by `schema.py`."""

from controller.storage.database import Schema


def m015_versions(db: Schema) -> None:
    """Find what was deployed and what was entered by its model."""
    db.table("deployments").create_index(["model", "created_at"])
    db.table("ledger").create_index(["model", "at"])
