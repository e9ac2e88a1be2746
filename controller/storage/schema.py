"""The database's tables, as migrations that are applied in order and never edited after a release."""

from typing import Any

from controller.storage import (
    schema_access,
    schema_alerts,
    schema_charging,
    schema_counts,
    schema_enrolment,
    schema_lists,
    schema_logs,
    schema_places,
    schema_rollouts,
    schema_rollups,
    schema_runs,
    schema_samples,
    schema_versions,
)
from controller.storage.database import Schema
from controller.storage.sqlite import Migrations

migrations = Migrations("edgewatt")

SAMPLE_COLUMNS: dict[str, type[Any]] = {
    "cpu_usage_percent": float,
    "ram_usage_mb": float,
    "ram_usage_percent": float,
    "temperature_c": float,
    "storage_usage_mb": float,
    "latency_p50_ms": float,
    "latency_p95_ms": float,
    "latency_max_ms": float,
    "energy_mj": float,
    "power_mw": float,
    "energy_source": str,
    "inferences": int,
    "top1_pct": float,
    "model": str,
    "gen": int,
    "soc_pct": float,
    "throttled": int,
    "spooled": int,
}


@migrations()
def m001_fleet(db: Schema) -> None:
    """Keep devices with their newest retained documents, and what the controller wants of them."""
    db.table("devices").create(
        {
            "id": str,
            "registered_at": float,
            "approved": int,
            "online": int,
            "session": str,
            "status_at": float,
            "reading_at": float,
            "gaps": int,
            "gen": int,
            "info": str,
            "status": str,
            "state": str,
            "desired": str,
            "reading": str,
        },
        pk="id",
        not_null={"registered_at", "approved", "gaps", "gen"},
        defaults={"approved": 1, "gaps": 0, "gen": 0},
        strict=True,
    )
    db.table("telemetry").create(
        {"device_id": str, "ts": float, "session": str, "seq": int, "received_at": float, **SAMPLE_COLUMNS},
        pk=("device_id", "session", "seq"),
        strict=True,
    )
    db.table("telemetry").create_index(["device_id", "ts"])


@migrations()
def m002_deployments(db: Schema) -> None:
    """Keep deployments, other commands, what waits to be published, and what models cost where."""
    db.table("deployments").create(
        {
            "id": str,
            "device_id": str,
            "command_id": str,
            "model": str,
            "phase": str,
            "open": int,
            "created_at": float,
            "document": str,
        },
        pk="id",
        strict=True,
    )
    db.table("deployments").create_index(["device_id", "command_id"], unique=True)
    db.table("deployments").create_index(["device_id", "created_at"])
    db.table("deployments").create_index(["open"])
    db.table("commands").create(
        {
            "id": str,
            "device_id": str,
            "op": str,
            "origin": str,
            "created_at": float,
            "updated_at": float,
            "attempt": int,
            "seq": int,
            "phase": str,
            "ack": str,
        },
        pk=("id", "device_id"),
        strict=True,
    )
    db.table("outbox").create(
        {
            "id": int,
            "device_id": str,
            "command_id": str,
            "topic": str,
            "payload": bytes,
            "retain": int,
            "tries": int,
            "next_at": float,
            "expires_at": float,
        },
        pk="id",
        strict=True,
    )
    db.table("outbox").create_index(["next_at"])
    db.table("outbox").create_index(["device_id", "command_id"])
    db.table("measurements").create(
        {
            "device_id": str,
            "model": str,
            "artifact_sha256": str,
            "energy_mj": float,
            "source": str,
            "p95_ms": float,
            "inferences": int,
            "at": float,
        },
        pk=("device_id", "model"),
        strict=True,
    )


@migrations()
def m003_events(db: Schema) -> None:
    """Keep the audited stream of what happened, and counts of what was refused."""
    db.table("events").create(
        {
            "id": int,
            "at": float,
            "kind": str,
            "who": str,
            "device_id": str,
            "deployment_id": str,
            "phase": str,
            "text": str,
            "facts": str,
        },
        pk="id",
        strict=True,
    )
    db.table("events").create_index(["at"])
    db.table("events").create_index(["deployment_id"])
    db.table("events").create_index(["device_id"])
    db.table("counters").create({"name": str, "value": int}, pk="name", strict=True)


@migrations()
def m004_ledger(db: Schema) -> None:
    """Keep predictions beside what devices reported, who drifts, calibrations, and the corrections they led to."""
    db.table("ledger").create(
        {
            "id": int,
            "device_id": str,
            "deployment_id": str,
            "device_type": str,
            "model": str,
            "artifact_sha256": str,
            "simulated": int,
            "predicted_mj": float,
            "low_mj": float,
            "high_mj": float,
            "predictor": str,
            "actual_mj": float,
            "source": str,
            "at": float,
        },
        pk="id",
        strict=True,
    )
    db.table("ledger").create_index(["device_id", "at"])
    db.table("ledger").create_index(["at"])
    db.table("watches").create(
        {"device_id": str, "model": str, "source": str, "alarm": int, "document": str},
        pk=("device_id", "model", "source"),
        strict=True,
    )
    db.table("calibrations").create(
        {"id": str, "device_id": str, "open": int, "created_at": float, "document": str}, pk="id", strict=True
    )
    db.table("calibrations").create_index(["device_id", "created_at"])
    db.table("calibrations").create_index(["open"])
    db.table("corrections").create(
        {
            "id": int,
            "device_id": str,
            "at": float,
            "origin": str,
            "simulated": int,
            "current": int,
            "undone_at": float,
            "before_percent": float,
            "after_percent": float,
            "runs": str,
            "document": str,
        },
        pk="id",
        strict=True,
    )
    db.table("corrections").create_index(["device_id", "current"])


@migrations()
def m005_jobs(db: Schema) -> None:
    """Keep what the workshop makes, made, and could not make with the converters of that time."""
    db.table("jobs").create(
        {
            "id": str,
            "key": str,
            "model": str,
            "state": str,
            "open": int,
            "sha256": str,
            "created_at": float,
            "document": str,
        },
        pk="id",
        strict=True,
    )
    for columns in (["key", "created_at"], ["open"], ["sha256"], ["created_at"]):
        db.table("jobs").create_index(columns)


for _later in (
    schema_rollouts.m006_rollouts,
    schema_logs.m007_log,
    schema_logs.m008_answers,
    schema_access.m009_tokens,
    schema_alerts.m010_alerts,
    schema_rollups.m011_rollups,
    schema_enrolment.m012_enrolment,
    schema_places.m014_places,
    schema_charging.m015_charging,
    schema_versions.m015_versions,
    schema_lists.m016_lists,
    schema_samples.m017_samples,
    schema_counts.m018_counts,
    schema_runs.m019_runs,
):
    migrations()(_later)
