"""Deployments: ask, watch, cancel."""

from dataclasses import dataclass
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import StrictFloat

from broker.energy import MWH_BASIS_INFERENCES, mj_from_mwh
from broker.errors import InvalidError
from broker.phases import Phase
from controller.addresses import address_of
from controller.api.conditions import WhenBody, conditions
from controller.api.described import RESPONSES
from controller.api.devices import DeviceBody, find_device
from controller.api.documents import (
    deployment_document,
    mwh,
    prediction_document,
    verdict_document,
)
from controller.api.parts import Given, Limit, Offset, Origin, Parts
from controller.logs import event_document
from controller.outcomes import tally
from controller.records import Order
from controller.service import Wish, refusal_of
from controller.sleep import asleep_until
from controller.storage.store import Row

router = APIRouter(prefix="/api", tags=["deployments"], responses=RESPONSES)


@dataclass(frozen=True, kw_only=True)
class DeployBody:
    """A deployment request.

    `max_energy_mj` is mJ per inference; `max_energy` is mWh per run of 500 inferences. `max_latency_ms` bounds the p95
    that the device measures. `when` is what it waits for before it begins, `soak_s` how long it watches the model.
    """

    model_name: str
    device_id: str | None = None
    device_ip: str | None = None
    bbb_ip: str | None = None
    max_energy_mj: StrictFloat | None = None
    max_energy: StrictFloat | None = None
    max_latency_ms: StrictFloat | None = None
    when: WhenBody | None = None
    soak_s: StrictFloat | None = None
    policy: Literal["strict", "expected"] = "strict"
    force: bool = False
    reason: str = ""
    dry_run: bool = False


@dataclass(frozen=True, kw_only=True)
class CancelBody:
    """Why a deployment is cancelled."""

    reason: str = ""


@router.post("/deploy", status_code=202)
async def deploy(parts: Given, origin: Origin, body: DeployBody) -> JSONResponse:
    """Deploy a model to a device within a budget; 409 with what would fit when the gate refuses."""
    address = DeviceBody(device_id=body.device_id, device_ip=body.device_ip, bbb_ip=body.bbb_ip)
    device = find_device(parts, address)
    wish = Wish(
        device_id=device["id"],
        model=body.model_name,
        origin=origin,
        budget_mj=budget_mj(body.max_energy_mj, body.max_energy),
        policy=body.policy,
        force=body.force,
        reason=body.reason,
        latency_ms=body.max_latency_ms,
        when=conditions(body.when),
        soak_s=body.soak_s,
    )
    if body.dry_run:
        return JSONResponse(_weighed(parts, wish))
    deployment = parts.service.deploy(wish, parts.clock())
    refusal = refusal_of(deployment)
    if refusal is not None:
        raise refusal
    parts.ingest.wake()
    wake_at = asleep_until(device, parts.clock())
    return JSONResponse(_accepted(deployment_document(deployment, wake_at), device), status_code=202)


@router.get("/deployments")
async def list_deployments(
    parts: Given,
    *,
    device_id: str = "",
    open: bool = False,  # noqa: A002 - the query's name
    phase: Phase | None = None,
    q: str = "",
    sort: Order = "newest",
    limit: Limit = 100,
    offset: Offset = 0,
) -> dict[str, Any]:
    """List deployments; `q` is a part of the model or the device, `summary` how all, or all of the device, ended."""
    records = parts.service.deployments
    asked: dict[str, Any] = {"device_id": device_id, "open_only": open, "phase": phase or "", "q": q}
    found = records.find(**asked, order=sort, limit=limit, offset=offset)
    total = sum(records.count(**asked).values())
    wakings = parts.service.wakings(parts.clock())
    documents = [deployment_document(d, wakings.get(d.device_id)) for d in found]
    summary = tally(records.count(device_id=device_id)).document
    return {"success": True, "total": total, "summary": summary, "deployments": documents}


@router.get("/deployments/{deployment_id}")
async def show_deployment(parts: Given, deployment_id: str) -> dict[str, Any]:
    """Return one deployment with every step it took."""
    deployment = parts.service.known_deployment(deployment_id)
    events = parts.service.store.events(deployment_id=deployment_id, limit=500, oldest_first=True)
    wake_at = parts.service.waking(deployment.device_id, parts.clock())
    document = deployment_document(deployment, wake_at) | {"events": [event_document(e) for e in events]}
    return {"success": True, "as_of": parts.clock(), "deployment": document}


@router.post("/deployments/{deployment_id}/cancel", status_code=202)
async def cancel(parts: Given, origin: Origin, deployment_id: str, body: CancelBody | None = None) -> dict[str, Any]:
    """End a deployment; one that the device works on ends when the device says so."""
    reason = body.reason if body else ""
    deployment = parts.service.cancel(deployment_id, reason, origin, parts.clock())
    parts.ingest.wake()
    return {"success": True, "deployment": deployment_document(deployment)}


def budget_mj(max_energy_mj: float | None, max_energy: float | None) -> float | None:
    """Return the budget in mJ per inference, given so or in mWh per 500 inferences. Raises InvalidError for both."""
    if max_energy_mj is not None and max_energy is not None:
        raise InvalidError(
            "max_energy and max_energy_mj were both given",
            hint="max_energy_mj is mJ per inference, max_energy mWh per 500 inferences: give one",
            field="max_energy",
        )
    return mj_from_mwh(max_energy) if max_energy is not None else max_energy_mj


def _weighed(parts: Parts, wish: Wish) -> dict[str, Any]:
    judgement = parts.service.weigh(wish)
    return {
        "success": True,
        "dry_run": True,
        "device": {"id": wish.device_id},
        "will_apply_at": parts.service.waking(wish.device_id, parts.clock()),
        "model": {"name": judgement.model.name} | prediction_document(judgement.prediction),
        "verdict": verdict_document(judgement.verdict),
    }


def _accepted(deployment: Row, device: Row) -> dict[str, Any]:
    predicted = deployment["predicted"] or {}
    energy_mj = predicted.get("energy_mj")
    return {
        "success": True,
        "message": "Deployment initiated",
        "will_apply_at": deployment["will_apply_at"],
        "deployment_id": deployment["id"],
        "watch": f"/api/deployments/{deployment['id']}",
        "phase": deployment["phase"],
        "device": {"id": device["id"], "ip": address_of(device) or None, "status": _status(deployment["phase"])},
        "model": {
            "name": deployment["model"],
            "predicted_energy_mwh": mwh(energy_mj),
            "mwh_basis_inferences": MWH_BASIS_INFERENCES,
            "energy_mj": energy_mj,
            "category": predicted.get("category"),
        },
        "verdict": deployment["verdict"],
        "timestamp": deployment["created_at"],
    }


def _status(phase: str) -> str:
    """Return how the deployment stands with its device: queued until something was sent, whatever has to be made."""
    return "queued" if phase in ("resolving", "ready") else phase
