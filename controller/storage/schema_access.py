"""The tables of who may ask the controller: steps of the schema, put in order by `schema.py`."""

from controller.storage.sqlite import Database


def m009_tokens(db: Database) -> None:
    """Keep tokens, by the hash of their secret."""
    db.table("tokens").create(
        {
            "id": str,
            "name": str,
            "role": str,
            "secret_sha256": str,
            "created_at": float,
            "created_by": str,
            "expires_at": float,
            "last_used_at": float,
            "act_as": int,
        },
        pk="id",
        not_null={"name", "role", "secret_sha256", "created_at", "created_by", "act_as"},
        strict=True,
    )
    db.table("tokens").create_index(["name"], unique=True)
