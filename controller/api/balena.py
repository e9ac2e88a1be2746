"""Boards at balena: joined with ours, their releases, pins and logs."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query

from controller.api.described import RESPONSES
from controller.api.parts import Given, Limit, Offset, Origin
from controller.balena.joined import Where, counts
from controller.balena.pinning import Pin
from controller.balena.questions import MOST_LINES, known_uuid

router = APIRouter(prefix="/api/balena", tags=["balena"], responses=RESPONSES)


@dataclass(frozen=True, kw_only=True)
class PinBody:
    """A successful release for one board (`device_uuid`) or one whole fleet (`app_slug`); `dry_run` only looks."""

    release_id: int
    device_uuid: str | None = None
    app_slug: str | None = None
    dry_run: bool = False


@router.get("/devices")
async def list_devices(
    parts: Given, app_slug: str = "", where: Where | None = None, limit: Limit = 100, offset: Offset = 0
) -> dict[str, Any]:
    """List boards of a fleet at balena beside the devices known here: in `both`, only at `balena`, only `here`.

    They are joined by the uuid that an agent finds in its container. Without `app_slug` the configured fleet.
    """
    slug, rows = await parts.balena.devices(app_slug)
    found = [row for row in rows if where in (None, row["where"])]
    told = {"fleet": slug, "total": len(found), "counts": counts(rows), "devices": found[offset : offset + limit]}
    return {"success": True, "as_of": parts.clock()} | told


@router.get("/releases")
async def list_releases(
    parts: Given, app_slug: str = "", limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> dict[str, Any]:
    """List a fleet's releases, newest first, and which one it should run."""
    fleet, releases = await parts.balena.releases(app_slug, limit)
    return {"success": True, "as_of": parts.clock(), "fleet": fleet, "releases": releases}


@router.post("/deploy")
async def deploy(parts: Given, origin: Origin, body: PinBody) -> dict[str, Any]:
    """Pin a successful release on one board or one whole fleet; what it changes is in the answer."""
    asked = Pin(release_id=body.release_id, device_uuid=body.device_uuid, app_slug=body.app_slug)
    plan = await parts.balena.pin(asked, origin, dry_run=body.dry_run)
    return {"success": True, "dry_run": body.dry_run} | plan.document


@router.get("/devices/{uuid}/logs")
async def show_logs(parts: Given, uuid: str, limit: Annotated[int, Query(ge=1, le=MOST_LINES)] = 100) -> dict[str, Any]:
    """Return the newest lines that a board sent to balena, oldest first; balena keeps a thousand."""
    return {"success": True, "uuid": known_uuid(uuid), "lines": await parts.balena.logs(uuid, limit)}
