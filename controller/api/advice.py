"""Advice: the frontier, why a figure is what it is, the best model per device, batteries, and a plan for the fleet."""

import asyncio
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import StrictFloat

from broker.conditions import check_terms
from broker.errors import EdgeWattError, InvalidError, RefusedError
from controller.api.advice_documents import (
    best_document,
    explanation,
    outlook_document,
    pareto_document,
    plan_document,
)
from controller.api.conditions import WhenBody, conditions
from controller.api.described import RESPONSES
from controller.api.parts import Given, Origin, Parts
from controller.api.turns import in_turn
from controller.choosing import Chooser, Chosen, Demand, LeftOut, type_of
from controller.fleet_list import FleetList, Sought
from controller.predict import battery, planner
from controller.predict.latency import implied_ms
from controller.predict.survey import IMPLIED, survey
from controller.service import Wish
from controller.storage.store import Row

router = APIRouter(prefix="/api", tags=["advice"], responses=RESPONSES)

MAX_DEVICES = 1_000


@dataclass(frozen=True, kw_only=True)
class BestBody:
    """Devices by id or by tag (`key=value`), a budget in mJ per inference, and the accuracy that is needed.

    `max_latency_ms`, `when` and `soak_s` are those of a deployment.
    """

    max_energy_mj: float
    min_top1: float = 0.0
    labels: int | None = None
    device_ids: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    policy: Literal["strict", "expected"] = "strict"
    max_latency_ms: StrictFloat | None = None
    when: WhenBody | None = None
    soak_s: StrictFloat | None = None
    dry_run: bool = False


@dataclass(frozen=True, kw_only=True)
class PlanBody:
    """The energy of all inferences of a day, Wh, shared by devices named by id or tag; all when none is named."""

    energy_wh_per_day: float
    min_top1: float = 0.0
    labels: int | None = None
    rate_hz: float = 1.0
    device_ids: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    policy: Literal["strict", "expected"] = "strict"


@router.get("/models/pareto")
async def pareto(parts: Given, device_type: str, published: bool = False, listed: bool = False) -> JSONResponse:
    """Return accuracy, energy and latency of all models on a type of device: the frontier, and who is dominated.

    With `listed` the networks that could be made are among them, with `published` those of the measured literature, for
    orientation; neither are in the store.
    """
    models = parts.catalogue.everything() if listed else parts.catalogue.all()
    found = survey(models, parts.predictor, device_type, _rows(parts, device_type), published=published)
    return JSONResponse({"success": True, "device_type": device_type} | pareto_document(found))


@router.get("/models/explain")
async def explain(parts: Given, model: str, device_type: str) -> dict[str, Any]:
    """Return why a model is predicted to cost what it is on a type of device, and what would cost less."""
    return {"success": True} | explanation(parts.catalogue.get(model), parts.predictor, device_type)


@router.post("/deploy/best", status_code=202)
async def deploy_best(parts: Given, origin: Origin, body: BestBody) -> JSONResponse:
    """Deploy to each device the most accurate model that fits it; 409 when there is none for any of them."""
    check_terms(latency_ms=body.max_latency_ms, when=conditions(body.when), soak_s=body.soak_s)
    demand = Demand(min_top1_pct=body.min_top1, labels=body.labels, policy=body.policy)
    devices = _named(parts, body.device_ids, body.tags)
    if not devices:
        raise InvalidError("no device is named", hint="give device_ids or tags", field="device_ids")
    chooser = Chooser.of(parts.service.judge, demand)
    chosen = [chooser.best(device, body.max_energy_mj) async for device in in_turn(devices)]
    if body.dry_run:
        return JSONResponse({"success": True, "dry_run": True, "devices": [best_document(each) for each in chosen]})
    done = [best_document(each) | _deployed(parts, each, body, origin) for each in chosen]
    parts.ingest.wake()
    if not any(each["deployment_id"] for each in done):
        raise RefusedError("no device got a model", hint=done[0]["reason"], devices=done)
    return JSONResponse({"success": True, "dry_run": False, "devices": done}, status_code=202)


@router.post("/plan")
async def plan(parts: Given, body: PlanBody) -> dict[str, Any]:
    """Assign models to devices so that the mean accuracy is highest within the energy of a day; nothing is deployed."""
    if not 0 < body.rate_hz <= 1e6:  # noqa: PLR2004 - beyond this nothing infers
        raise InvalidError("rate_hz must be positive", hint="inferences per second and device", field="rate_hz")
    demand = Demand(min_top1_pct=body.min_top1, labels=body.labels, policy=body.policy)
    named = bool(body.device_ids or body.tags)
    devices = _named(parts, body.device_ids, body.tags) if named else parts.service.store.devices()
    chooser = Chooser.of(parts.service.judge, demand)
    found = [chooser.place(device, body.rate_hz) async for device in in_turn(devices)]
    left_out = [each for each in found if isinstance(each, LeftOut)]
    places = [each for each in found if not isinstance(each, LeftOut)]
    if not places:
        why = left_out[0].reason if left_out else "there are no devices yet"
        raise RefusedError(
            f"nothing can be planned: {why}", code="infeasible", left_out=[asdict(each) for each in left_out]
        )
    best = await asyncio.to_thread(planner.plan, places, energy_wh_per_day=body.energy_wh_per_day)
    types = {device["id"]: type_of(device) for device in devices}
    given = {"energy_wh_per_day": body.energy_wh_per_day, "rate_hz": body.rate_hz, "min_top1": body.min_top1}
    return {"success": True} | given | plan_document(best, left_out, types, given)


@router.get("/devices/{device_id}/battery")
async def device_battery(
    parts: Given,
    device_id: str,
    *,
    model: str,
    rate_hz: Annotated[float, Query(ge=0, le=1e6)] = 1.0,
    battery_wh: Annotated[float | None, Query(ge=0)] = None,
    solar_wh_per_day: Annotated[float | None, Query(ge=0)] = None,
    supply_mw: Annotated[float | None, Query(gt=0)] = None,
    idle_mw: Annotated[float | None, Query(ge=0)] = None,
) -> dict[str, Any]:
    """Return how long a battery lasts, and how much of a day's sun it takes, when a device infers `rate_hz` per second.

    What is not given is taken from the device's registration, and idle power and supply from its type.
    """
    device = parts.service.known_device(device_id)
    info, kind = device["info"] or {}, type_of(device)
    board = battery.BOARDS.get(kind)
    if idle_mw is None and board is None:
        raise InvalidError(f"the idle power of {kind} is not known", hint="give idle_mw", field="idle_mw")
    load, origin = _load(parts, device, model, rate_hz)
    source = battery.Source(
        battery_wh=info.get("battery_wh") if battery_wh is None else battery_wh,
        solar_wh_per_day=info.get("solar_wh_per_day") if solar_wh_per_day is None else solar_wh_per_day,
        supply_mw=supply_mw or (board.supply_mw if board else None),
    )
    idle = idle_mw if idle_mw is not None else board.idle_mw if board else 0.0
    whence = "given" if idle_mw is not None else board.source if board else ""
    facts = {"device_id": device_id, "device_type": kind, "model": model, "rate_hz": rate_hz, "idle_source": whence}
    found = battery.outlook(load, source, idle_mw=idle)
    return {"success": True} | facts | origin | outlook_document(found, source, idle)


def _load(parts: Parts, device: Row, name: str, rate_hz: float) -> tuple[battery.Load, dict[str, Any]]:
    """Return what `name` costs on `device`, measured there or predicted, and where that is from."""
    judgement = parts.service.judge.judge(device, name, budget_mj=None, policy="strict", forced_reason=None)
    verdict, kind = judgement.verdict, type_of(device)
    if verdict.energy_mj is None or verdict.high_mj is None:
        raise RefusedError(
            f"nothing is known about the energy of {name} on {kind}",
            code="no_prediction",
            hint=f"measure first: edgewatt devices measure {device['id']} {name}",
        )
    [latency_ms] = implied_ms([judgement.model.features], [judgement.prediction], parts.predictor, kind)
    latency_source = IMPLIED if latency_ms is not None else ""
    row = parts.service.judge.measurements.get(device["id"], name)
    if verdict.basis == "measurement" and row and row["p95_ms"]:
        latency_ms, latency_source = row["p95_ms"], f"p95, {row['source']}"
    load = battery.Load(energy_mj=verdict.energy_mj, high_mj=verdict.high_mj, rate_hz=rate_hz, latency_ms=latency_ms)
    figures = {name: getattr(verdict, name) for name in ("energy_mj", "low_mj", "high_mj")}
    sources = {"energy_source": verdict.source, "latency_source": latency_source}
    return load, figures | {"latency_ms": latency_ms} | sources


def _rows(parts: Parts, device_type: str) -> list[Row]:
    kinds = dict(parts.service.store.device_types())
    return [row for row in parts.service.judge.measurements.all() if kinds.get(row["device_id"]) == device_type]


def _named(parts: Parts, device_ids: tuple[str, ...], tags: tuple[str, ...]) -> list[Row]:
    """Return the devices that are named, each once. Raises NotFoundError, InvalidError."""
    found = {device_id: parts.service.known_device(device_id) for device_id in device_ids}
    for tag in tags:
        for rows in FleetList(store=parts.service.store).pages(Sought(tag=tag), parts.clock()):
            found = {row["id"]: row for row in rows} | found
    if len(found) > MAX_DEVICES:
        raise InvalidError(f"{len(found)} devices at once, at most {MAX_DEVICES}", hint="name fewer")
    return list(found.values())


def _deployed(parts: Parts, chosen: Chosen, body: BestBody, origin: str) -> dict[str, Any]:
    """Return the deployment of one device, or why there is none."""
    if chosen.model is None:
        return {"deployment_id": None}
    wish = Wish(
        device_id=chosen.device_id,
        model=chosen.model.name,
        origin=origin,
        budget_mj=body.max_energy_mj,
        policy=body.policy,
        latency_ms=body.max_latency_ms,
        when=conditions(body.when),
        soak_s=body.soak_s,
    )
    try:
        deployment = parts.service.deploy(wish, parts.clock())
    except EdgeWattError as error:
        return {"deployment_id": None, "allowed": False, "reason": error.message}
    return {"deployment_id": deployment.id}
