"""Health, and how controller, broker, fleet and messages are doing."""

import shutil
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from controller.api.described import RESPONSES
from controller.api.errors import answer
from controller.api.parts import Given, Parts
from controller.logs import REFUSALS

router = APIRouter(tags=["system"], responses=RESPONSES)


@router.get("/livez")
async def live() -> dict[str, bool]:
    """Say that the process answers."""
    return {"success": True}


@router.get("/readyz")
async def ready(parts: Given) -> JSONResponse:
    """Say whether the controller works: 503 without a broker or with a database that fails, 507 on a full disk.

    One that stands by for another answers 503 (`standby`) and names the active one.
    """
    if parts.service.store.connection.lost:
        return answer(503, "the database cannot be reached", "database_unreachable", "is PostgreSQL running?")
    fault = parts.ingest.fault.error
    if fault is not None:
        return answer(507 if fault.code == "disk_full" else 503, fault.message, fault.code, fault.hint)
    if not parts.ingest.link.connected:
        return answer(503, f"no connection to {parts.broker_url}", "broker_unreachable", "is the broker running?")
    return JSONResponse({"success": True})


@router.get("/api/status")
async def status(parts: Given) -> dict[str, Any]:
    """Return one screen of figures: controller, broker, devices by health, messages, deployments.

    Over more than a thousand devices the count by health is some seconds old: two, or more where counting takes long.
    """
    now, ingest, hearing = parts.clock(), parts.ingest, parts.ingest.hearing
    store = parts.service.store
    counted = parts.counted
    phases = parts.service.deployments.count()
    counters = store.counters()
    return {
        "success": True,
        "controller": {
            "role": "active",
            "epoch": ingest.epoch,
            "version": parts.version,
            "started_at": parts.started_at,
            "uptime_s": round(now - parts.started_at, 1),
            "storage_fault": ingest.fault.message,
            "free_mb": round(shutil.disk_usage(parts.data_dir).free / 1e6, 1),
        },
        "broker": {
            "connected": ingest.link.connected,
            "url": parts.broker_url,
            "node": getattr(ingest.link, "node", None),
            "since": ingest.connected_at,
            "last_loss": ingest.last_loss,
            "losses": dict(ingest.losses),
        },
        "devices": {"total": counted.total} | counted.healths,
        "messages": _messages(parts, counters, now) | {"received": hearing.received, "last_at": hearing.last_at},
        "access": {
            "required": parts.door.required,
            "failed_sign_ins": parts.door.failed,
            "limited": {what: parts.door.allowance.refused[what] for what in parts.door.allowance.per_min},
        },
        "live": {"readers": hearing.live.readers, "dropped": hearing.live.dropped},
        "deployments": {"open": sum(parts.service.deployments.count(open_only=True).values())} | phases,
        "rollouts": {"open": parts.rolling.rollouts.count(open_only=True)},
        "balena": {"configured": parts.balena.configured, "fleet": parts.balena.fleet or None},
        "alerts": parts.alerts.counts(now),
        "storage": _storage(parts, now),
        "artifact_base_url": parts.service.artifact_base_url,
        "data_dir": str(parts.data_dir),
        "database": parts.database or str(parts.data_dir / "controller.db"),
    }


@router.get("/api/messages/refused")
async def refused(parts: Given) -> dict[str, Any]:
    """Return the newest refused messages, newest first, and the counts of all."""
    return {
        "success": True,
        "counts": parts.service.store.counters(),
        "messages": list(reversed(parts.ingest.hearing.inspector.refused)),
    }


def _storage(parts: Parts, now: float) -> dict[str, Any]:
    size, retention = parts.service.store.connection.size(), parts.ingest.passing.retention
    oldest = retention.oldest_at
    return {
        "database_mb": round(size.bytes / 1e6, 1),
        "used_mb": round(size.used_bytes / 1e6, 1),
        "max_database_mb": retention.max_mb,
        "keep_telemetry_days": retention.keep_days,
        "records": parts.ingest.passing.pruning.kept(),
        "oldest_sample_at": oldest,
        "oldest_sample_age_s": None if oldest is None else round(now - oldest, 1),
    }


def _messages(parts: Parts, counters: dict[str, int], now: float) -> dict[str, Any]:
    last_at = parts.ingest.hearing.last_at
    return {
        "refused": {name: counters[name] for name in REFUSALS if name in counters},
        "noted": {name: value for name, value in counters.items() if name not in REFUSALS},
        "dropped": getattr(parts.ingest.link, "dropped", 0),
        "last_age_s": None if last_at is None else round(now - last_at, 1),
    }
