"""Devices' credentials: enroll, invite, accept an invitation, revoke."""

from dataclasses import asdict, dataclass
from typing import Any

from fastapi import APIRouter, Response

from controller.api.described import RESPONSES
from controller.api.parts import Given, Origin

router = APIRouter(tags=["enrolment"], responses=RESPONSES)

DAY_S = 86_400.0
NO_STORE = "no-store"


@dataclass(frozen=True, kw_only=True)
class EnrollBody:
    """`token`: an invitation that works once within `expires_s`, instead of the device's files themselves.

    `replace`: a device that is enrolled gets another password, and its present one stops working.
    """

    token: bool = False
    expires_s: float = DAY_S
    replace: bool = False


@dataclass(frozen=True, kw_only=True)
class AcceptBody:
    """An enrolment token."""

    token: str


@router.post("/api/devices/{device_id}/enroll")
async def enroll(parts: Given, origin: Origin, response: Response, device_id: str, body: EnrollBody) -> dict[str, Any]:
    """Return the files that let a device in, its password among them, or a token for them; shown once."""
    response.headers["Cache-Control"] = NO_STORE
    enrolling, now = parts.enrolling, parts.clock()
    if body.token:
        made = enrolling.invite(device_id, now, holds_s=body.expires_s, who=origin, replace=body.replace)
        return {"success": True, **asdict(made), "controller": parts.service.artifact_base_url}
    files = enrolling.enroll(device_id, now, who=origin, replace=body.replace)
    return {"success": True, "device_id": device_id, "files": files, "broker": asdict(await parts.reload())}


@router.post("/api/devices/{device_id}/revoke")
async def revoke(parts: Given, origin: Origin, device_id: str) -> dict[str, Any]:
    """Make a device's credentials and invitations void; the same again changes nothing.

    Its session ends when the broker reads its users again; `broker` says whether it was told to.
    """
    shut = parts.enrolling.revoke(device_id, parts.clock(), who=origin)
    told = await parts.reload()
    return {"success": True, "device_id": device_id, "was_enrolled": shut, "broker": asdict(told)}


@router.get("/api/enroll/ca")
async def authority(parts: Given) -> dict[str, Any]:
    """Return the certificate of the fleet's authority, which a device compares with what its token says."""
    return {"success": True, "ca": parts.enrolling.authority()}


@router.post("/api/enroll")
async def accept(parts: Given, response: Response, body: AcceptBody) -> dict[str, Any]:
    """Return the files of the device that the token invites; the token is used up."""
    response.headers["Cache-Control"] = NO_STORE
    device_id, files = parts.enrolling.accept(body.token, parts.clock())
    return {"success": True, "device_id": device_id, "files": files, "broker": asdict(await parts.reload())}
