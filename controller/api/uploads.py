"""Files that people send: read and answered for, or taken in."""

import email.message
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.requests import ClientDisconnect

from broker.errors import ArtifactError, InvalidError
from controller.api.described import RESPONSES
from controller.api.parts import Given, Origin, Parts
from controller.models.fact_sheet import fact_sheet
from controller.models.intake import Parcel, model_name
from controller.models.manifest import About
from controller.models.naming import split
from controller.workshop.jobs import Order, Source

router = APIRouter(tags=["models"], responses=RESPONSES)

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The file itself: `curl --data-binary @net.onnx` or `curl -T net.onnx`.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post("/api/models/analyze", openapi_extra=BODY)
@router.put("/api/models/analyze", include_in_schema=False)
@router.put("/api/models/analyze/{filename}", include_in_schema=False)
async def analyze(parts: Given, request: Request, name: str = "", filename: str = "") -> dict[str, Any]:
    """Tell what an ONNX or TFLite file holds, read without running it; nothing is kept."""
    facts = await parts.intake.facts(_parcel(request, filename or name))
    return {"success": True, "facts": fact_sheet(facts)}


@router.post("/api/models/upload", openapi_extra=BODY)
@router.put("/api/models/upload", include_in_schema=False)
@router.put("/api/models/upload/{filename}", include_in_schema=False)
async def upload(
    *,
    parts: Given,
    origin: Origin,
    request: Request,
    name: str = "",
    architecture: str = "",
    top1_pct: Annotated[float | None, Query(ge=0, le=100)] = None,
    licence: Annotated[str | None, Query(max_length=200)] = None,
    filename: str = "",
) -> dict[str, Any]:
    """Take a model in under `name`: ONNX, TFLite, or safetensors with the `architecture` that they are weights of."""
    parcel = _parcel(request, filename or name)
    if architecture:
        if top1_pct is not None or licence is not None:
            raise InvalidError("top1_pct and licence are told of a file that is kept as it is", hint="leave them out")
        return await _order(parts, origin, parcel, name or parcel.name, architecture)
    about = About(licence=licence, top1_pct=top1_pct, source=f"uploaded by {origin}")
    model = await parts.intake.add(parcel, name=name, about=about)
    held = next(a for a in model.artifacts if a.sha256 == model.artifact_sha256)
    text = f"{model.name} was added: {held.format} {model.variant}, {held.size / 1e6:,.1f} MB"
    facts = {"model": model.name, "format": held.format, "sha256": held.sha256, "size": held.size, "licence": licence}
    _tell(parts, origin, text, facts)
    path = f"/models/sha256/{held.sha256}"
    known = parts.catalogue.get(model.name)
    kept = {"format": held.format, "path": path, "sha256": held.sha256}
    meaning = {"means": known.means, "means_it": held.sha256 in known.digests}
    return {"success": True, "model": model.name} | kept | meaning


async def _order(parts: Parts, origin: str, parcel: Parcel, name: str, architecture: str) -> dict[str, Any]:
    """Keep weights and have the workshop make a model of them."""
    wished = parts.intake.free_name(model_name(name))
    kept = await parts.intake.keep_weights(parcel)
    source = Source(kind="safetensors", path=str(kept), architecture=model_name(architecture))
    order = Order(model=wished, format="onnx", variant=split(wished)[1], source=source)
    job = parts.workshop.ask(order, origin, again=True)
    return {"success": True, "model": wished, "job_id": job.id, "state": job.state.value}


def _tell(parts: Parts, origin: str, text: str, facts: dict[str, Any]) -> None:
    with parts.service.store.transaction():
        parts.service.store.add_event(parts.clock(), "model", text, who=origin, facts=facts)


def _parcel(request: Request, filename: str) -> Parcel:
    """Return the body of `request`, unread. Raises InvalidError for a form, in which a file is only a part."""
    if request.headers.get("content-type", "").startswith("multipart/"):
        raise InvalidError(
            "the body is a form; send the file itself", hint="curl -T net.onnx, or curl --data-binary @net.onnx"
        )
    announced = request.headers.get("content-length", "")
    return Parcel(
        chunks=_chunks(request),
        announced=int(announced) if announced.isdecimal() else None,
        filename=filename or _disposed(request.headers.get("content-disposition", "")),
    )


def _disposed(header: str) -> str:
    """Return the file's name in a Content-Disposition header, "" where there is none."""
    message = email.message.Message()
    message["content-disposition"] = header
    return message.get_filename("") or ""


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect:
        raise ArtifactError("the upload broke off", code="upload_broken", hint="send it again") from None
