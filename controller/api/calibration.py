"""Calibrating a device over REST: begin, give figures, look, cancel, take back."""

import math
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import Field

from controller.api.described import RESPONSES
from controller.api.documents import Document
from controller.api.energy import PredictBody, features_of
from controller.api.parts import Given, Origin
from controller.feedback.calibration import Calibration
from controller.feedback.corrections import Kept
from controller.feedback.learning import kept_sentence
from controller.predict.calibrate import Run

router = APIRouter(prefix="/api/devices/{device_id}", tags=["calibration"], responses=RESPONSES)

MAX_ROWS = 1_000


@dataclass(frozen=True, kw_only=True)
class RowBody(PredictBody):
    """One model measured on the device: `energy_mj` per inference, and `source`, the meter that said so."""

    energy_mj: float
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class CalibrateBody:
    """What will be deployed there (`models`, the whole catalogue when empty), or `rows` measured already."""

    models: tuple[str, ...] = ()
    rows: Annotated[tuple[RowBody, ...], Field(max_length=MAX_ROWS)] = ()


@router.post("/calibrate", status_code=202)
async def begin(parts: Given, origin: Origin, device_id: str, body: CalibrateBody | None = None) -> JSONResponse:
    """Begin to measure up to ten models on the device when it is idle; with `rows` calibrate by those at once."""
    asked = body or CalibrateBody()
    if asked.rows:
        rows = [(Run(features_of(parts, row), row.energy_mj), row.source) for row in asked.rows]
        kept = parts.calibrating.learning.by_rows(device_id, rows, origin, parts.clock())
        return JSONResponse({"success": True, "correction": correction_document(kept)})
    begun = parts.calibrating.begin(device_id, asked.models, origin, parts.clock())
    watch = f"/api/devices/{device_id}/calibration"
    return JSONResponse({"success": True, "calibration": calibration_document(begun), "watch": watch}, status_code=202)


@router.get("/calibration")
async def show(parts: Given, device_id: str) -> dict[str, Any]:
    """Return the newest calibration of a device, the correction that its predictions use, and all before it."""
    parts.service.known_device(device_id)
    newest = parts.calibrating.calibrations.newest(device_id)
    history = parts.calibrating.learning.corrections.history(device_id)
    current = next((kept for kept in history if kept.current), None)
    return {
        "success": True,
        "device_id": device_id,
        "as_of": parts.clock(),
        "calibration": calibration_document(newest) if newest else None,
        "correction": correction_document(current) if current else None,
        "history": [correction_document(kept) for kept in history],
    }


@router.post("/calibrate/cancel")
async def cancel(parts: Given, origin: Origin, device_id: str) -> dict[str, Any]:
    """End the open calibration; what the device has measured so far stays in the ledger."""
    ended = parts.calibrating.cancel(device_id, origin, parts.clock())
    parts.ingest.wake()
    return {"success": True, "calibration": calibration_document(ended)}


@router.post("/calibrate/undo")
async def undo(parts: Given, origin: Origin, device_id: str) -> dict[str, Any]:
    """Take the device's correction back; the one before it is used again, if there is one."""
    undone, now = parts.calibrating.learning.undo(device_id, origin, parts.clock())
    return {
        "success": True,
        "undone": correction_document(undone),
        "correction": correction_document(now) if now else None,
    }


def calibration_document(c: Calibration) -> Document:
    """Return a calibration with the outcome of each model; energies in mJ per inference."""
    names = ("id", "device_id", "who", "created_at", "state", "since", "reason", "ended", "measured")
    more = ("correction_id", "before_percent", "after_percent")
    return {name: getattr(c, name) for name in (*names, *more)} | {
        "total": len(c.items),
        "models": [asdict(item) for item in c.items],
    }


def correction_document(kept: Kept) -> Document:
    """Return a correction; errors are mean absolute percentages, `after_percent` on held-out runs.

    `cost_ratio` is what the device costs over what other boards foretell, in the geometric mean of its runs.
    """
    names = ("id", "device_id", "at", "origin", "simulated", "current", "undone_at", "before_percent", "after_percent")
    return {name: getattr(kept, name) for name in names} | {
        "runs": len(kept.runs),
        "predictor": kept.correction.predictor,
        "cost_ratio": round(math.exp(kept.correction.bias), 4),
        "sentence": kept_sentence(kept),
    }
