"""The catalogue of models."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query

from broker.errors import InvalidError
from controller.api.described import RESPONSES
from controller.api.documents import Document, model_document, prediction_document
from controller.api.parts import Given, Limit, Offset, Parts
from controller.models.model import Model
from controller.models.search import Order, Search, families, ordered
from controller.predict.advice import predicted, recommended

router = APIRouter(tags=["models"], responses=RESPONSES)


@router.get("/api/models/all")
async def list_models(
    parts: Given,
    search: Annotated[Search, Depends()],
    *,
    sort: Literal[Order, "energy_mj"] = "shelf",
    device_type: str = "",
    limit: Limit = 100,
    offset: Offset = 0,
) -> dict[str, Any]:
    """List the models that are stored and those that could be made, a page of those looked for.

    With `device_type` each says what it is predicted to cost there; `sort=energy_mj` puts the cheapest first.
    `families` says how many there are of each, as if none had been asked for.
    """
    of_any_family = [m for m in parts.catalogue.everything() if replace(search, family="").matches(m)]
    total, documents = listed(parts, search, sort, device_type, limit=limit, offset=offset)
    return {"success": True, "total": total, "models": documents, "families": families(of_any_family)}


@router.get("/api/models/popular")
async def list_popular(parts: Given, device_type: str = "") -> dict[str, Any]:
    """List the well-known models, with `device_type` as `/api/models/all` does; those in the store first."""
    found = ordered([model for model in parts.catalogue.everything() if model.popular], "shelf")
    return {"success": True, "total": len(found), "models": _documents(parts, found, device_type)}


@router.get("/api/models/recommended")
async def recommend(
    parts: Given,
    device_type: str,
    min_top1: Annotated[float | None, Query(ge=0, le=100)] = None,
    stored: bool | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
) -> dict[str, Any]:
    """Return the models, stored or not, that are predicted to cost least energy on a type of device.

    Networks that nobody trained are among them only where they are stored.
    """
    usable = [model for model in parts.catalogue.everything() if model.stored or model.trained is not False]
    models = [model for model in usable if stored in (None, model.stored)]
    found = recommended(models, parts.predictor, device_type, min_top1_pct=min_top1, limit=limit)
    documents = [model_document(model) | {"prediction": prediction_document(p)} for model, p in found]
    return {"success": True, "device_type": device_type, "models": documents}


@router.get("/api/models/named/{name}")
async def show_model(parts: Given, name: str, device_type: str = "") -> dict[str, Any]:
    """Return one model; 404 with the nearest names for one that is not known."""
    return {"success": True, "model": _documents(parts, [parts.catalogue.get(name)], device_type)[0]}


def listed(
    parts: Parts,
    search: Search,
    sort: Literal[Order, "energy_mj"],
    device_type: str,
    *,
    limit: int | None,
    offset: int,
) -> tuple[int, list[Document]]:
    """Return how many models are looked for, and `limit` of them (None: all) as documents."""
    found = [model for model in parts.catalogue.everything() if search.matches(model)]
    most = len(found) if limit is None else limit
    if sort == "energy_mj":
        return len(found), _cheapest(parts, found, device_type, limit=most, offset=offset)
    return len(found), _documents(parts, ordered(found, sort)[offset : offset + most], device_type)


def _documents(parts: Parts, models: Sequence[Model], device_type: str) -> list[Document]:
    if not device_type:
        return [model_document(model) for model in models]
    found = predicted(models, parts.predictor, device_type)
    return [model_document(model) | {"prediction": prediction_document(said)} for model, said in found]


def _cheapest(parts: Parts, models: Sequence[Model], device_type: str, *, limit: int, offset: int) -> list[Document]:
    if not device_type:
        raise InvalidError("to sort by energy, a device_type is needed", hint="device_type=…", field="device_type")
    found = recommended(models, parts.predictor, device_type, limit=offset + limit)[offset:]
    return [model_document(model) | {"prediction": prediction_document(said)} for model, said in found]
