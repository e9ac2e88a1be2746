"""The ledger over REST: predictions beside what devices reported, how far off, and who drifts."""

from typing import Any

from fastapi import APIRouter

from controller.api.described import RESPONSES
from controller.api.documents import Document
from controller.api.parts import Given, Limit
from controller.feedback.ledger import Entry, Watch

router = APIRouter(prefix="/api", tags=["ledger"], responses=RESPONSES)


@router.get("/ledger")
async def show_ledger(
    parts: Given,
    device_type: str = "",
    device_id: str = "",
    limit: Limit = 100,
) -> dict[str, Any]:
    """Return the newest entries, errors over all of them by board, family and age, and drift.

    Errors are of measured energy only; `error_percent` is positive when the prediction was too high. What is modelled
    or simulated is listed with `counts_as_truth` false; simulated devices have figures of their own in `simulated`.
    """
    now, book = parts.clock(), parts.service.bookkeeping.book
    entries = book.entries(device_type=device_type, device_id=device_id, limit=limit)
    summary = book.summary(now, device_type=device_type, device_id=device_id)
    drifting = [w for w in book.suspects() if device_id in ("", w.device_id)]
    return {
        "success": True,
        "as_of": now,
        "total": summary.pop("total"),
        "entries": [entry_document(entry) for entry in entries],
        "summary": summary,
        "drift": [drift_document(watch) for watch in drifting],
    }


def entry_document(entry: Entry) -> Document:
    """Return one entry."""
    names = ("deployment_id", "device_id", "device_type", "model", "family", "predicted_mj", "low_mj", "high_mj")
    more = ("actual_mj", "source", "simulated", "counts_as_truth", "error_percent", "inside", "predictor", "at")
    return {name: getattr(entry, name) for name in (*names, *more)}


def drift_document(watch: Watch) -> Document:
    """Return how far a device is above what a model cost it at deployment; energies in mJ per inference."""
    return {
        "device_id": watch.device_id,
        "model": watch.model,
        "source": watch.source,
        "baseline_mj": watch.baseline_mj,
        "since": watch.since,
        "by_percent": round(watch.by_percent, 2),
        "alarm": watch.alarm,
    }
