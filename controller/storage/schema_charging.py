"""The columns of whether a battery charges: a step of the schema, put in order by `schema.py`."""

from controller.storage.database import Schema


def m015_charging(db: Schema) -> None:
    """Keep whether a battery charged when a sample was taken, and of how many samples of a minute or hour that holds.

    `charging_n` samples told it, `charging_sum` of them said yes; of samples from before nothing is known.
    """
    db.table("telemetry").add_column("charging", int)
    for table in ("telemetry_minutes", "telemetry_hours"):
        db.table(table).add_column("charging_sum", int)
        db.table(table).add_column("charging_n", int)
