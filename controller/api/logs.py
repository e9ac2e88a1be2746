"""The audited stream of what happened: list and export."""

import csv
import io
import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response

from broker.phases import Phase
from controller.api.documents import event_document
from controller.api.parts import Given, Parts

router = APIRouter(prefix="/api/logs", tags=["logs"])

COLUMNS = ("id", "at", "type", "who", "device_id", "deployment_id", "phase", "text", "reason")
MAX_EXPORTED = 100_000
FAILURES = (Phase.FAILED, Phase.ROLLED_BACK, Phase.ROLLBACK_FAILED, Phase.TIMED_OUT, Phase.EXPIRED)


@router.get("")
async def list_logs(
    parts: Given,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
    type: str = "",  # noqa: A002 - the query's name
    device_id: str = "",
) -> dict[str, Any]:
    """List events, newest first; `type` is deployment, command, device, presence, drift, calibration or log."""
    events = parts.service.store.events(kind=type, device_id=device_id, limit=limit)
    return {"success": True, "as_of": parts.clock(), "logs": [event_document(event) for event in events]}


@router.get("/export")
async def export(parts: Given, format: Literal["csv", "json"] = "csv") -> Response:  # noqa: A002 - the query's name
    """Return the whole stream as a file."""
    events = [event_document(event) for event in parts.service.store.events(limit=MAX_EXPORTED)]
    body, media = (_csv(events), "text/csv") if format == "csv" else (_json(parts, events), "application/json")
    headers = {"Content-Disposition": f'attachment; filename="edgewatt-logs.{format}"'}
    return Response(body, media_type=media, headers=headers)


def _csv(events: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(events)
    return out.getvalue()


def _json(parts: Parts, events: list[dict[str, Any]]) -> str:
    phases = parts.service.deployments.count()
    good, bad = phases.get(Phase.SUCCEEDED, 0), sum(phases.get(phase, 0) for phase in FAILURES)
    metadata = {
        "created_at": events[-1]["at"] if events else None,
        "last_updated": events[0]["at"] if events else None,
        "total_deployments": sum(phases.values()),
        "success_count": good,
        "error_count": bad,
        "success_rate": good / (good + bad) if good + bad else None,
    }
    return json.dumps({"logs": events, "metadata": metadata})
