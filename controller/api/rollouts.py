"""Rollouts: plan, make, watch, steer."""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import ConfigDict, Field, StrictBool, StrictFloat, StrictInt

from broker.errors import InvalidError
from controller.api.conditions import WhenBody, conditions
from controller.api.deployments import budget_mj
from controller.api.described import RESPONSES
from controller.api.parts import Given, Limit, Offset, Origin, Parts
from controller.api.rollout_documents import part_document, rollout_document, whole_document
from controller.api.turns import in_turn
from controller.rollouts.drafting import Draft, drafted, refusal_of
from controller.rollouts.drafting import document as plan_document
from controller.rollouts.guards import Guards
from controller.rollouts.request import Request, Selection, Terms
from controller.rollouts.standing import Standing
from controller.rollouts.state import OnBreach, Rollout, RolloutPhase, Rules
from controller.rollouts.waves import DEFAULT, Step

router = APIRouter(prefix="/api/rollouts", tags=["rollouts"], responses=RESPONSES)

MOST_NAMED = 20_000
EXACT: ConfigDict = ConfigDict(extra="forbid")


@dataclass(frozen=True, kw_only=True)
class GuardsBody:
    """What a device that got the model may not exceed: mJ per inference, p95 in ms, °C, being throttled.

    The energy is held to the budget where this names none. Modelled energy decides nothing; simulated energy does on
    simulated devices.
    """

    __pydantic_config__: ClassVar[ConfigDict] = EXACT

    energy_mj: StrictFloat | None = None
    latency_ms: StrictFloat | None = None
    temperature_c: StrictFloat | None = None
    brown_outs: StrictBool = False


@dataclass(frozen=True, kw_only=True)
class RolloutBody:
    """A model for many devices, in waves such as `["1", "10%", "50%", "100%"]` or lists of ids.

    Devices are those of `device_ids` and those with one of the `tags` (`key=value`); `device_types` narrows them, or
    selects by itself. Budget, `when` and `soak_s` bind each device as in a single deployment; `watch_s` is how long a
    whole wave is watched after it. More than `failure_percent` of at least `fewest_judged` devices gone wrong is a
    breach, and so is a wave that ends below `success_percent`. `dry_run` answers with the plan.
    """

    __pydantic_config__: ClassVar[ConfigDict] = EXACT

    model_name: str
    device_ids: Annotated[tuple[str, ...], Field(max_length=MOST_NAMED)] = ()
    tags: Annotated[tuple[str, ...], Field(max_length=100)] = ()
    device_types: Annotated[tuple[str, ...], Field(max_length=100)] = ()
    max_energy_mj: StrictFloat | None = None
    max_energy: StrictFloat | None = None
    max_latency_ms: StrictFloat | None = None
    policy: Literal["strict", "expected"] = "strict"
    force: StrictBool = False
    reason: str = ""
    when: WhenBody | None = None
    soak_s: StrictFloat | None = None
    waves: Annotated[tuple[str | StrictInt | tuple[str, ...], ...], Field(max_length=100)] = DEFAULT
    pause_after_waves: StrictBool = False
    success_percent: StrictFloat | None = None
    failure_percent: StrictFloat = 5.0
    fewest_judged: StrictInt = 5
    on_breach: OnBreach = "pause"
    guards: GuardsBody = field(default_factory=GuardsBody)
    watch_s: StrictFloat = 0.0
    at_once: StrictInt = 20
    bytes_per_s: StrictFloat | None = None
    not_before: StrictFloat | None = None
    window: str | None = None
    joins: StrictBool = False
    only_fitting: StrictBool = False
    deadline_s: StrictFloat | None = None
    dry_run: StrictBool = False


@dataclass(frozen=True, kw_only=True)
class SteerBody:
    """Why; and for an abort whether devices that are done return to the model before."""

    reason: str = ""
    roll_back: StrictBool = False


@router.post("", status_code=202)
async def make(parts: Given, origin: Origin, body: RolloutBody) -> JSONResponse:
    """Make a rollout and answer with what to watch; 409 with the plan when the gate refuses some of its devices."""
    draft = await _drafted(parts, _request(body))
    if body.dry_run:
        refusal = refusal_of(draft)
        said = {"allowed": refusal is None, "refusal": refusal.message if refusal else None}
        return JSONResponse({"success": True, "dry_run": True, **said, "plan": plan_document(draft)})
    rollout = parts.rolling.begin(draft, origin, parts.clock())
    return JSONResponse(_accepted(parts, rollout), status_code=202)


@router.get("")
async def list_rollouts(
    parts: Given,
    *,
    open: bool = False,  # noqa: A002 - the query's name
    phase: RolloutPhase | None = None,
    q: str = "",
    sort: Literal["newest", "oldest"] = "newest",
    limit: Limit = 100,
    offset: Offset = 0,
) -> dict[str, Any]:
    """List rollouts; `q` is a part of the model or of who asked for it."""
    records = parts.rolling.rollouts
    asked: dict[str, Any] = {"open_only": open, "phase": phase or "", "q": q}
    now, rows = parts.clock(), records.find(**asked, oldest_first=sort == "oldest", limit=limit, offset=offset)
    found = [rollout_document(parts.rolling, each, now) for each in rows]
    return {"success": True, "as_of": now, "total": records.count(**asked), "rollouts": found}


@router.get("/{rollout_id}")
async def show(
    parts: Given,
    rollout_id: str,
    *,
    standing: Standing | None = None,
    wave: Annotated[int | None, Query(ge=1)] = None,
    limit: Annotated[int, Query(ge=0, le=1_000)] = 100,
    offset: Offset = 0,
) -> dict[str, Any]:
    """Return a rollout with a page of its devices, failures first, what they cost before and after, and its audit."""
    rollout = parts.rolling.known(rollout_id)
    total, page = parts.rolling.participants.page(
        rollout_id, standing=standing or "", wave=None if wave is None else wave - 1, limit=limit, offset=offset
    )
    devices = {"total": total, "devices": [part_document(part) for part in page]}
    now = parts.clock()
    return {"success": True, "as_of": now, "rollout": whole_document(parts.rolling, rollout, now), **devices}


@router.post("/{rollout_id}/pause", status_code=202)
async def pause(parts: Given, origin: Origin, rollout_id: str, body: SteerBody | None = None) -> dict[str, Any]:
    """Let no further device begin; what is under way goes on."""
    why = body.reason if body else ""
    return _accepted(parts, parts.rolling.pause(rollout_id, why, origin, parts.clock()))


@router.post("/{rollout_id}/resume", status_code=202)
async def resume(parts: Given, origin: Origin, rollout_id: str) -> dict[str, Any]:
    """Let it go on; what went wrong so far no longer counts against it."""
    return _accepted(parts, parts.rolling.resume(rollout_id, origin, parts.clock()))


@router.post("/{rollout_id}/abort", status_code=202)
async def abort(parts: Given, origin: Origin, rollout_id: str, body: SteerBody | None = None) -> dict[str, Any]:
    """End it, and what is under way; devices that are done keep the model unless `roll_back`."""
    asked = body or SteerBody()
    ended = parts.rolling.abort(rollout_id, asked.reason, origin, parts.clock(), roll_back=asked.roll_back)
    return _accepted(parts, ended)


@router.post("/{rollout_id}/retry", status_code=202)
async def retry(parts: Given, origin: Origin, rollout_id: str) -> dict[str, Any]:
    """Let devices that failed try again: here while it is open, else in a new rollout, which is answered."""
    return _accepted(parts, parts.rolling.retry(rollout_id, origin, parts.clock()))


async def _drafted(parts: Parts, request: Request) -> Draft:
    """Return the draft of a rollout; of a large fleet that takes seconds, in which everybody else has turns.

    Who registers meanwhile is not in it, which matters only where whoever comes later is to join: then at one go.
    """
    if request.rules.joins:
        return parts.rolling.draft(request)
    return drafted(request, [piece async for piece in in_turn(parts.rolling.drafting.pieces(request))])


def _accepted(parts: Parts, rollout: Rollout) -> dict[str, Any]:
    parts.ingest.wake()
    watch = f"/api/rollouts/{rollout.id}"
    document = rollout_document(parts.rolling, rollout, parts.clock())
    return {"success": True, "rollout_id": rollout.id, "watch": watch, "rollout": document}


def _request(body: RolloutBody) -> Request:
    """Return what was asked for. Raises InvalidError with the field."""
    energy_mj = budget_mj(body.max_energy_mj, body.max_energy)
    guards = body.guards
    steps: tuple[Step, ...] = tuple(str(step) if isinstance(step, int) else step for step in body.waves)
    named = any(not isinstance(step, str) for step in steps)
    if not (body.device_ids or body.tags or body.device_types or named):
        raise InvalidError("no device is meant", hint="device_ids, tags or device_types", field="device_ids")
    rules = Rules(
        failure_percent=body.failure_percent,
        success_percent=100 - body.failure_percent if body.success_percent is None else body.success_percent,
        fewest_judged=body.fewest_judged,
        guards=Guards(
            energy_mj=energy_mj if guards.energy_mj is None else guards.energy_mj,
            latency_ms=body.max_latency_ms if guards.latency_ms is None else guards.latency_ms,
            temperature_c=guards.temperature_c,
            brown_outs=guards.brown_outs,
        ),
        on_breach=body.on_breach,
        pause_after_waves=body.pause_after_waves,
        soak_s=body.watch_s,
        at_once=body.at_once,
        bytes_per_s=body.bytes_per_s,
        not_before=body.not_before,
        window=body.window,
        joins=body.joins,
        by_name=named,
    )
    terms = Terms(
        budget_mj=energy_mj,
        policy=body.policy,
        force=body.force,
        reason=body.reason,
        latency_ms=body.max_latency_ms,
        when=conditions(body.when),
        soak_s=body.soak_s,
    )
    return Request(
        model=body.model_name,
        selection=Selection(device_ids=body.device_ids, tags=body.tags, device_types=body.device_types),
        terms=terms,
        waves=steps,
        rules=rules,
        only_fitting=body.only_fitting,
        deadline_s=body.deadline_s,
    )
