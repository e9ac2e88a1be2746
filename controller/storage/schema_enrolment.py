"""The table of invitations to devices: a step of the schema, put in order by `schema.py`."""

from controller.storage.sqlite import Database


def m012_enrolment(db: Database) -> None:
    """Keep one-time enrolment tokens, by the hash of their secret; a used one until it would have expired."""
    db.table("enrolment_tokens").create(
        {
            "id": str,
            "device_id": str,
            "secret_sha256": str,
            "created_at": float,
            "created_by": str,
            "expires_at": float,
            "used_at": float,
        },
        pk="id",
        not_null={"device_id", "secret_sha256", "created_at", "created_by", "expires_at"},
        strict=True,
    )
    db.table("enrolment_tokens").create_index(["device_id"])
