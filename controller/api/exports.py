"""Lists as CSV files: all that a filter selects, not a page of it, written while it is read."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from broker.phases import Phase
from controller.api.csv_rows import csv_lines
from controller.api.described import RESPONSES
from controller.api.devices import MAX_MINUTES, select
from controller.api.documents import deployment_document
from controller.api.ledger import entry_document
from controller.api.models import listed
from controller.api.parts import Given
from controller.api.rollout_documents import rollout_document
from controller.fleet_list import Sought
from controller.models.search import Order as ModelOrder
from controller.models.search import Search
from controller.records import Order
from controller.rollouts.state import RolloutPhase
from controller.storage.store import Row
from controller.telemetry import history

router = APIRouter(prefix="/api/export", tags=["exports"], responses=RESPONSES)

AT_ONCE = 500

DEVICES = {
    **{name: name for name in ("id", "health", "health_reason", "device_type", "board", "ip", "agent_version", "tags")},
    **{name: name for name in ("simulated", "approved", "reading_age_s", "phase", "runs", "drift")},
    "budget_mj": "budget.energy_mj",
    "budget_status": "budget.status",
    "energy_mj": "latest.energy.energy_mj",
    "energy_source": "latest.energy.source",
    "power_mw": "latest.energy.power_mw",
    "predicted_low_mj": "predicted.low_mj",
    "predicted_high_mj": "predicted.high_mj",
    **{f"latency_{name}_ms": f"latest.latency_ms.{name}" for name in ("p50", "p95", "max")},
    **{name: f"latest.{name}" for name in ("temperature_c", "throttled", "cpu_usage_percent", "ram_usage_mb")},
    **{name: f"latest.{name}" for name in ("ram_usage_percent", "storage_usage_mb", "soc_pct", "charging")},
}
"""The columns of each file, and where in the document each value is."""

DEPLOYMENTS = {
    **{name: name for name in ("id", "device_id", "model", "phase", "reason", "code", "attempt", "origin")},
    **{name: name for name in ("rollout_id", "budget_mj", "latency_ms", "policy", "forced_reason", "artifact_sha256")},
    **{f"predicted_{name}": f"predicted.{name}" for name in ("energy_mj", "low_mj", "high_mj")},
    "energy_mj": "result.energy_mj",
    "energy_source": "result.energy_source",
    "latency_p95_ms": "result.latency_p95_ms",
    "created_at": "created_at",
    "since": "since",
}
ROLLOUTS = {
    **{name: name for name in ("id", "model", "phase", "reason", "who", "size", "wave", "outcome")},
    **{f"devices_{name}": f"counts.{name}" for name in ("done", "failed", "breached", "already", "refused", "away")},
    "created_at": "created_at",
    "since": "since",
}
MODELS = {
    **{name: name for name in ("name", "family", "variant", "source", "stored", "versions", "promoted_sha256")},
    **{name: name for name in ("formats", "trained", "labels")},
    **{name: name for name in ("size_mb", "params_m", "gmacs", "top1_pct", "top1_source", "licence")},
    **{f"predicted_{name}": f"prediction.{name}" for name in ("energy_mj", "low_mj", "high_mj", "support")},
}
LEDGER = {
    **{name: name for name in ("device_id", "device_type", "model", "family", "predicted_mj", "low_mj", "high_mj")},
    **{name: name for name in ("actual_mj", "source", "simulated", "counts_as_truth", "error_percent", "inside")},
    "predictor": "predictor",
    "created_at": "at",
}
TELEMETRY = {
    **{name: name for name in ("ts", "samples", "inferences", "model", "throttled", "charging_share", "energy_source")},
    **{f"{name}_{how}": f"{name}.{how}" for name in history.CHARTED for how in ("min", "mean", "max")},
}


@router.get("/devices", response_class=StreamingResponse)
async def devices(parts: Given, sought: Annotated[Sought, Depends()]) -> StreamingResponse:
    """Return the devices that are asked for as `/api/devices` is."""
    return _file("devices", DEVICES, select(parts, sought))


@router.get("/deployments", response_class=StreamingResponse)
async def deployments(
    parts: Given,
    *,
    device_id: str = "",
    open: bool = False,  # noqa: A002 - the query's name
    phase: Phase | None = None,
    q: str = "",
    sort: Order = "newest",
) -> StreamingResponse:
    """Return the deployments that are asked for as `/api/deployments` is; those made meanwhile are left out."""
    asked: dict[str, Any] = {"device_id": device_id, "open_only": open, "phase": phase or "", "q": q, "order": sort}

    def page(offset: int) -> list[Row]:
        records = parts.service.deployments
        return [deployment_document(d) for d in records.find(**asked, until=now, limit=AT_ONCE, offset=offset)]

    now = parts.clock()
    return _file("deployments", DEPLOYMENTS, _pages(page))


@router.get("/rollouts", response_class=StreamingResponse)
async def rollouts(
    parts: Given,
    *,
    open: bool = False,  # noqa: A002 - the query's name
    phase: RolloutPhase | None = None,
    q: str = "",
    sort: Literal["newest", "oldest"] = "newest",
) -> StreamingResponse:
    """Return the rollouts that are asked for as `/api/rollouts` is."""
    asked: dict[str, Any] = {"open_only": open, "phase": phase or "", "q": q, "oldest_first": sort == "oldest"}
    now = parts.clock()

    def page(offset: int) -> list[Row]:
        found = parts.rolling.rollouts.find(**asked, limit=AT_ONCE, offset=offset)
        return [rollout_document(parts.rolling, each, now) for each in found]

    return _file("rollouts", ROLLOUTS, _pages(page))


@router.get("/models", response_class=StreamingResponse)
async def models(
    parts: Given,
    search: Annotated[Search, Depends()],
    *,
    sort: Literal[ModelOrder, "energy_mj"] = "shelf",
    device_type: str = "",
) -> StreamingResponse:
    """Return the models that are asked for as `/api/models/all` is."""
    _, documents = listed(parts, search, sort, device_type, limit=None, offset=0)
    return _file("models", MODELS, [documents])


@router.get("/ledger", response_class=StreamingResponse)
async def ledger(parts: Given, device_type: str = "", device_id: str = "") -> StreamingResponse:
    """Return all predictions beside what devices reported, as `/api/ledger` is asked."""
    entries = parts.service.bookkeeping.book.entries(device_type=device_type, device_id=device_id)
    return _file("ledger", LEDGER, [[entry_document(entry) for entry in entries]])


@router.get("/telemetry", response_class=StreamingResponse)
async def telemetry(
    parts: Given,
    device_id: str,
    minutes: Annotated[float, Query(gt=0, le=MAX_MINUTES)] = 15,
    points: Annotated[int, Query(ge=1, le=history.MAX_POINTS)] = history.MAX_POINTS,
) -> StreamingResponse:
    """Return a device's buckets as `/api/devices/{device_id}/telemetry` does."""
    parts.service.known_device(device_id)
    until = parts.clock()
    span = {"since": until - minutes * 60, "until": until}
    _, series = history.read_buckets(parts.service.store, device_id, **span, points=points)
    return _file("telemetry", TELEMETRY, [series])


def _pages(page: Any) -> Iterator[list[Row]]:
    offset = 0
    while found := page(offset):
        yield found
        offset += len(found)


def _file(name: str, columns: Mapping[str, str], pages: Iterable[Iterable[Row]]) -> StreamingResponse:
    head = [*columns, *(f"{name}_utc" for name in columns if name in ("ts", "created_at"))]
    body: AsyncIterator[str] = csv_lines(head, ([_flat(row, columns) for row in rows] for rows in pages))
    headers = {"Content-Disposition": f'attachment; filename="edgewatt-{name}.csv"'}
    return StreamingResponse(body, media_type="text/csv", headers=headers)


def _flat(document: Row, columns: Mapping[str, str]) -> Row:
    row = {name: _plain(_at(document, path)) for name, path in columns.items()}
    times = {f"{name}_utc": row[name] for name in ("ts", "created_at") if row.get(name) is not None}
    return row | {name: datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds") for name, at in times.items()}


def _at(document: Row, path: str) -> Any:
    found: Any = document
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _plain(value: Any) -> Any:
    """Return tags and lists as one text."""
    if isinstance(value, dict):
        return " ".join(f"{key}={each}" for key, each in sorted(value.items()))
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else value
