"""The fleet: list, one device, its history, and orders to it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query

from broker.energy import mwh_from_mj
from broker.errors import InvalidError
from controller import fleet
from controller.addresses import address_of, device_at
from controller.api.described import RESPONSES
from controller.api.documents import deployment_document
from controller.api.ledger import drift_document
from controller.api.parts import Given, Limit, Offset, Origin, Parts
from controller.feedback.bookkeeping import drift_sentence
from controller.fleet_list import FleetList, Sought
from controller.logs import event_document
from controller.outcomes import tally
from controller.sleep import asleep_until
from controller.storage.store import Row
from controller.telemetry import history

router = APIRouter(tags=["devices"], responses=RESPONSES)

MAX_MINUTES = 60 * 24 * 31
MAX_COURSE_MINUTES = 60 * 24
NAMED = 1_000
"""How many addresses are looked through for one that was meant."""


@dataclass(frozen=True, kw_only=True)
class OrderBody:
    """A command: `op`, and its fields beside it."""

    op: str
    model: str | None = None
    config: dict[str, Any] | None = None
    input: Any = field(default=None)


@dataclass(frozen=True, kw_only=True)
class DeviceBody:
    """A device by its id, or by the address it reports; `bbb_ip` is another name of `device_ip`."""

    device_id: str | None = None
    device_ip: str | None = None
    bbb_ip: str | None = None
    model_name: str | None = None


@router.get("/api/devices")
async def list_devices(
    parts: Given, sought: Annotated[Sought, Depends()], *, limit: Limit = 100, offset: Offset = 0
) -> dict[str, Any]:
    """List devices; `q` searches id, board and model, `tag` is key=value, a minus before `sort` turns it round."""
    listing, now, trust = FleetList(store=parts.service.store), parts.clock(), _trust(parts)
    rows = listing.page(sought, now, limit=limit, offset=offset)
    page = [fleet.view(row, now) | trust(row["id"]) for row in rows]
    return {"success": True, "total": listing.count(sought, now), "as_of": now, "devices": page}


@router.get("/api/devices/{device_id}")
async def show_device(parts: Given, device_id: str) -> dict[str, Any]:
    """Return everything known of one device, with its last ten messages per topic."""
    row, service = parts.service.known_device(device_id), parts.service
    heard, now = parts.ingest.hearing.inspector.of(device_id), parts.clock()
    more = {
        **{name: row[name] for name in ("info", "state", "status")},
        "messages": heard,
        "deployments": [
            deployment_document(d, asleep_until(row, now))
            for d in service.deployments.find(device_id=device_id, limit=20)
        ],
        "summary": tally(service.deployments.count(device_id=device_id)).document,
        "logs": [event_document(e) for e in service.store.events(device_id=device_id, limit=100)],
    }
    return {"success": True, "as_of": now, "device": fleet.view(row, now) | _trust(parts)(device_id) | more}


@router.get("/api/devices/{device_id}/telemetry")
async def telemetry(
    parts: Given,
    device_id: str,
    minutes: Annotated[float, Query(gt=0, le=MAX_MINUTES)] = 15,
    points: Annotated[int, Query(ge=1, le=history.MAX_POINTS)] = 300,
) -> dict[str, Any]:
    """Return bucketed history with minimum, mean and maximum, and the deployments within it."""
    parts.service.known_device(device_id)
    until = parts.clock()
    since = until - minutes * 60
    bucket_s, series = history.read_buckets(parts.service.store, device_id, since=since, until=until, points=points)
    marks = [
        {"id": d.id, "ts": d.created_at, "model": d.model, "phase": d.phase.value}
        for d in parts.service.deployments.find(device_id=device_id)
        if d.created_at >= since
    ]
    window = {"bucket_s": bucket_s, "since": since, "until": until}
    return {"success": True, "device_id": device_id, **window, "series": series, "deployments": marks}


@router.get("/api/telemetry/courses")
async def courses(
    parts: Given,
    device_id: Annotated[list[str], Query(max_length=200)],
    minutes: Annotated[float, Query(gt=0, le=MAX_COURSE_MINUTES)] = 15,
    points: Annotated[int, Query(ge=1, le=100)] = 30,
) -> dict[str, Any]:
    """Return the courses of many devices at once, for small lines: highest p95 and mean energy in each bucket."""
    until = parts.clock()
    since = until - minutes * 60
    found = history.read_courses(parts.service.store, device_id, since=since, until=until, points=points)
    return {"success": True, "since": since, "until": until, "courses": found}


@router.delete("/api/devices/{device_id}")
async def forget(parts: Given, origin: Origin, device_id: str) -> dict[str, Any]:
    """Forget a device and its retained topics; it comes back when it speaks again."""
    parts.service.forget(device_id, origin, parts.clock())
    parts.ingest.wake()
    return {"success": True, "device_id": device_id}


@router.post("/api/devices/{device_id}/approve")
async def approve(parts: Given, origin: Origin, device_id: str) -> dict[str, Any]:
    """Let a provisional device take deployments."""
    parts.service.approve(device_id, origin, parts.clock())
    return {"success": True, "device_id": device_id}


@router.post("/api/devices/{device_id}/command", status_code=202)
async def order(parts: Given, origin: Origin, device_id: str, body: OrderBody) -> dict[str, Any]:
    """Send one command; a `bench` that names a model measures it beside the running one."""
    if body.op == "bench" and body.model:
        return _ordered(parts, device_id, parts.service.measure(device_id, body.model, origin, parts.clock()))
    fields = {"model": body.model, "config": body.config, "input": body.input}
    return _ordered(parts, device_id, parts.service.order(device_id, body.op, fields, origin, parts.clock()))


@router.get("/api/commands/{command_id}")
async def command_state(parts: Given, command_id: str) -> dict[str, Any]:
    """Return how a command stands: `state` null until the device answered."""
    command = parts.service.known_command(command_id)
    wake_at = None if command["state"] else parts.service.waking(command["device_id"], parts.clock())
    return {"success": True, "command": command | {"will_apply_at": wake_at}}


@router.get("/api/device/metrics")
async def metrics(
    parts: Given, device_id: str | None = None, device_ip: str | None = None, bbb_ip: str | None = None
) -> dict[str, Any]:
    """Return a device's newest vital signs and its energy against the budget (mWh per run of 500 inferences)."""
    row = find_device(parts, DeviceBody(device_id=device_id, device_ip=device_ip, bbb_ip=bbb_ip))
    now = parts.clock()
    seen, latest = fleet.view(row, now), row["reading"] or {}
    names = ("cpu_usage_percent", "ram_usage_mb", "ram_usage_percent", "temperature_c", "storage_usage_mb")
    vitals = {name: latest.get(name) for name in (*names, "uptime_seconds", "inference_active")}
    return {
        "success": True,
        "device_id": row["id"],
        "status": seen["health"],
        "model_name": seen["runs"],
        "metrics": vitals,
        "energy_metrics": _energy_metrics(seen["budget"] or {}),
        "reading_age_s": seen["reading_age_s"],
        "timestamp": now,
    }


@router.post("/api/device/{deed}", status_code=202)
async def act(
    parts: Given, origin: Origin, deed: Literal["start", "stop", "rollback", "benchmark"], body: DeviceBody
) -> dict[str, Any]:
    """Start, stop, roll back or benchmark a device."""
    op = "bench" if deed == "benchmark" else deed
    device_id = find_device(parts, body)["id"]
    if op == "bench" and body.model_name:
        return _ordered(parts, device_id, parts.service.measure(device_id, body.model_name, origin, parts.clock()))
    return _ordered(parts, device_id, parts.service.order(device_id, op, {}, origin, parts.clock()))


def select(parts: Parts, sought: Sought) -> Iterator[list[Row]]:
    """Yield the documents of all devices that are asked for, in their order, a hundred at a time."""
    now = parts.clock()
    for rows in FleetList(store=parts.service.store).pages(sought, now):
        yield [fleet.view(row, now) for row in rows]


def find_device(parts: Parts, body: DeviceBody) -> Row:
    """Return the row of the device that `body` names, by id or by address. Raises NotFoundError, InvalidError."""
    addresses = {address for address in (body.device_ip, body.bbb_ip) if address}
    if not body.device_id and not addresses:
        hint = "give device_id, or the address that the device reports as device_ip"
        raise InvalidError("no device is named", hint=hint, field="device_id")
    if len(addresses) > 1:
        raise InvalidError("device_ip and bbb_ip are two devices", hint="give one of them", field="bbb_ip")
    if not body.device_id:
        return _device_at(parts, addresses.pop())
    device = parts.service.known_device(body.device_id)
    if addresses and addresses != {address_of(device)}:
        said = f"{body.device_id} does not report the address {addresses.pop()[:80]}"
        raise InvalidError(said, hint="give the id or the address", field="device_id")
    return device


def _device_at(parts: Parts, address: str) -> Row:
    store = parts.service.store
    found = store.query("SELECT * FROM fleet WHERE ip = ? ORDER BY id", [address])
    return device_at(
        found or store.query("SELECT id, online, ip FROM devices WHERE ip IS NOT NULL ORDER BY ip LIMIT ?", [NAMED]),
        address,
    )


def _trust(parts: Parts) -> Callable[[str], Row]:
    """Return what tells for a device's id which models cost it more than they did, and how it was calibrated."""
    attention: dict[str, list[Row]] = {}
    for watch in parts.service.bookkeeping.book.alarms():
        case = {"code": "drift", "text": drift_sentence(watch)} | drift_document(watch)
        attention.setdefault(watch.device_id, []).append(case)
    calibrated = parts.calibrating.learning.corrections.all_current()
    return lambda device_id: {"attention": attention.get(device_id, []), "calibration": calibrated.get(device_id)}


def _ordered(parts: Parts, device_id: str, command_id: str) -> dict[str, Any]:
    parts.ingest.wake()
    wake_at = parts.service.waking(device_id, parts.clock())
    return {"success": True, "command_id": command_id, "watch": f"/api/commands/{command_id}", "will_apply_at": wake_at}


def _energy_metrics(budget: Row) -> dict[str, Any]:
    names = {"budget_mwh": "energy_mj", "latest_mwh": "latest_mj", "avg_mwh": "avg_mj"}
    figures = {mwh: None if budget.get(mj) is None else mwh_from_mj(budget[mj]) for mwh, mj in names.items()}
    return figures | {"status": budget.get("status"), "source": budget.get("source")} | budget
