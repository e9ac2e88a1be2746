"""The catalogue of models, and the bytes that devices download."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse

from controller.api.documents import model_document, prediction_document
from controller.api.parts import Given
from controller.predict.advice import recommended

router = APIRouter(tags=["models"])

IMMUTABLE = "public, max-age=31536000, immutable"


@router.get("/api/models/all")
async def list_models(
    parts: Given,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    offset: Annotated[int, Query(ge=0)] = 0,
    q: str = "",
) -> dict[str, Any]:
    """List the models that can be deployed, by name."""
    total, models = parts.catalogue.page(limit=limit, offset=offset, q=q)
    return {"success": True, "total": total, "models": [model_document(model) for model in models]}


@router.get("/api/models/recommended")
async def recommend(
    parts: Given, device_type: str, min_top1: float | None = None, limit: Annotated[int, Query(ge=1, le=100)] = 10
) -> dict[str, Any]:
    """Return the models that are predicted to cost least energy on a type of device."""
    found = recommended(parts.catalogue.all(), parts.predictor, device_type, min_top1_pct=min_top1, limit=limit)
    models = [model_document(model) | {"prediction": prediction_document(p)} for model, p in found]
    return {"success": True, "device_type": device_type, "models": models}


@router.get("/models/sha256/{sha256}")
@router.head("/models/sha256/{sha256}", include_in_schema=False)
async def download(parts: Given, sha256: str) -> FileResponse:
    """Serve an artifact by its hash, with Range and ETag."""
    path = parts.service.artifacts.path(sha256)
    headers = {"ETag": f'"{sha256}"', "X-Checksum-SHA256": sha256, "Cache-Control": IMMUTABLE}
    return FileResponse(path, media_type="application/octet-stream", headers=headers)
