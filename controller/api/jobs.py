"""Making models: download or convert one, and watch, list or cancel what the workshop does."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from controller.api.described import RESPONSES
from controller.api.parts import Given, Limit, Offset, Origin, Parts
from controller.models.manifest import Artifact, Format, Variant
from controller.workshop.endings import error_of
from controller.workshop.jobs import Job, JobState
from controller.workshop.orders import ordered_name

router = APIRouter(prefix="/api", tags=["workshop"], responses=RESPONSES)


@dataclass(frozen=True, kw_only=True)
class DownloadBody:
    """A network to fetch with its published weights, or `untrained` with random ones, and to keep as a file.

    `wait` false answers 202 with the job; `again` tries what failed before for a reason that lasts.
    """

    model_name: str
    untrained: bool = False
    format: Format = "onnx"
    variant: Variant | None = None
    wait: bool = True
    again: bool = False


@dataclass(frozen=True, kw_only=True)
class ConvertBody:
    """A model to make in another format or variant; `calibration` is a folder of images on the controller's machine."""

    model_name: str
    format: Format
    variant: Variant | None = None
    calibration: str | None = None
    wait: bool = True
    again: bool = False


@router.post("/models/download")
async def download(parts: Given, origin: Origin, body: DownloadBody) -> JSONResponse:
    """Bring a network of the catalogue into the store; at once when it is there already.

    `path` is where this controller serves the file, with Range and ETag.
    """
    name = ordered_name(body.model_name, body.variant, untrained=body.untrained)
    return await _made(parts, origin, name, body)


@router.post("/models/convert")
async def convert(parts: Given, origin: Origin, body: ConvertBody) -> JSONResponse:
    """Make a stored or a listed model in another format or variant; answers as a download does."""
    return await _made(parts, origin, ordered_name(body.model_name, body.variant), body)


@router.get("/jobs")
async def list_jobs(
    parts: Given,
    model: str = "",
    state: JobState | None = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> dict[str, Any]:
    """List what the workshop makes and made, newest first."""
    jobs, wanted = parts.workshop.jobs, {"model": model, "state": state.value if state else ""}
    found = [job_document(job) for job in jobs.find(**wanted, limit=limit, offset=offset)]
    return {"success": True, "total": jobs.count(**wanted), "jobs": found}


@router.get("/jobs/{job_id}")
async def show_job(parts: Given, job_id: str) -> dict[str, Any]:
    """Return one job."""
    return {"success": True, "as_of": parts.clock(), "job": job_document(parts.workshop.known(job_id))}


@router.post("/jobs/{job_id}/cancel", status_code=202)
async def cancel(parts: Given, origin: Origin, job_id: str) -> dict[str, Any]:
    """End a job that waits or runs; a deployment that waits for it fails."""
    return {"success": True, "job": job_document(parts.workshop.cancel(job_id, origin))}


async def _made(parts: Parts, origin: str, name: str, body: DownloadBody | ConvertBody) -> JSONResponse:
    stored = parts.service.artifacts.find(name, (body.format,))
    if stored is not None:
        return JSONResponse(_answer(name, stored, None))
    calibration = body.calibration if isinstance(body, ConvertBody) else None
    order = parts.orders.order(name, body.format, calibration=calibration)
    job = parts.workshop.ask(order, origin, again=body.again)
    if not job.open:
        raise error_of(job, remembered=True)
    if not body.wait:
        return JSONResponse({"success": True, "job": job_document(job)}, status_code=202)
    job = await parts.workshop.end_of(job.id)
    if job.sha256 is None:
        raise error_of(job)
    return JSONResponse(_answer(name, parts.service.artifacts.manifest(job.sha256), job))


def job_document(job: Job) -> dict[str, Any]:
    """Return a job; `source` in words, because a path on the controller's machine is nobody's business."""
    names = ("id", "who", "attempt", "progress", "step", "created_at", "started_at", "ended_at")
    ends = ("sha256", "code", "message", "hint", "versions")
    source = job.order.source
    made_of = source.name or source.architecture or "the stored file"
    return {
        **{name: getattr(job, name) for name in (*names, *ends)},
        "state": job.state.value,
        "model": job.order.model,
        "format": job.order.format,
        "variant": job.order.variant,
        "source": f"{source.kind}: {made_of}" + (" (random weights)" if source.pretrained is False else ""),
    }


def _answer(name: str, artifact: Artifact, job: Job | None) -> dict[str, Any]:
    return {
        "success": True,
        "message": f"{name} was made" if job else f"{name} was here already",
        "model": name,
        "format": artifact.format,
        "path": f"/models/sha256/{artifact.sha256}",
        "sha256": artifact.sha256,
        "size": artifact.size,
        "job": job_document(job) if job else None,
    }
