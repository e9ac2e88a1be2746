"""The tables of rollouts: a step of the schema, put in order by `schema.py`."""

from typing import Any

from controller.storage.database import Schema

ROLLOUT_FIGURES: dict[str, type[Any]] = {"mj": float, "source": str, "p95_ms": float}
"""What a device of a rollout cost and took, before and after: mJ per inference, what said so, ms."""


def m006_rollouts(db: Schema) -> None:
    """Keep rollouts, where each of their devices stands, and which devices something happened to since."""
    db.table("rollouts").create(
        {
            "id": str,
            "open": int,
            "joins": int,
            "phase": str,
            "created_at": float,
            "request": str,
            "document": str,
        },
        pk="id",
        strict=True,
    )
    db.table("rollouts").create_index(["open"])
    db.table("rollouts").create_index(["created_at"])
    db.table("rollout_devices").create(
        {
            "rollout_id": str,
            "device_id": str,
            "device_type": str,
            "wave": int,
            "standing": str,
            "moving": int,
            "since": float,
            "deployment_id": str,
            "command_id": str,
            "stage": str,
            "code": str,
            "reason": str,
            "before_model": str,
            **{f"{when}_{what}": kind for when in ("before", "after") for what, kind in ROLLOUT_FIGURES.items()},
            "predicted_mj": float,
            "low_mj": float,
            "high_mj": float,
        },
        pk=("rollout_id", "device_id"),
        not_null={"standing", "moving", "since"},
        strict=True,
    )
    db.table("rollout_devices").create_index(["rollout_id", "wave", "standing", "device_id"])
    db.table("rollout_devices").create_index(["device_id", "moving"])
    db.table("rollout_news").create(
        {"rollout_id": str, "device_id": str, "due_at": float}, pk=("rollout_id", "device_id"), strict=True
    )
    db.table("rollout_news").create_index(["due_at"])
