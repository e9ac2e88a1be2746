"""Predicted energy: one model or many, on a type of device or on a registered device."""

from dataclasses import dataclass, fields, replace
from typing import Any

from fastapi import APIRouter

from broker.errors import InvalidError
from controller.api.documents import Document, prediction_document
from controller.api.parts import Given, Parts
from controller.predict.features import Features

router = APIRouter(prefix="/api", tags=["energy"])

MAX_BATCH = 1_000
FLOPS_PER_MAC = 2.0
FLOPS_TOLERANCE = 0.05


@dataclass(frozen=True, kw_only=True)
class PredictBody:
    """What is known of a model; what is left out is taken from the catalogue by `model_name`."""

    device_type: str
    model_name: str = ""
    params_m: float | None = None
    gflops: float | None = None
    gmacs: float | None = None
    macts_m: float | None = None
    size_mb: float | None = None
    latency_avg_s: float | None = None
    throughput_iter_per_s: float | None = None
    input_res: int | None = None
    dw_gmacs: float | None = None
    n_convs: int | None = None
    quantized: bool | None = None


@router.post("/predict-energy")
async def predict(parts: Given, body: PredictBody | list[PredictBody]) -> dict[str, Any]:
    """Predict the energy of one inference with its 95 % interval; a list answers a list."""
    bodies = [body] if isinstance(body, PredictBody) else body
    if len(bodies) > MAX_BATCH:
        raise InvalidError(f"{len(bodies)} at once, at most {MAX_BATCH}", hint="ask in several parts")
    documents = _predicted(parts, bodies)
    return {"success": True, "data": documents[0] if isinstance(body, PredictBody) else documents}


@router.get("/energy/thresholds")
async def thresholds(parts: Given) -> dict[str, Any]:
    """Return P10 to P90 of the training energies per type of device, mJ per inference."""
    return {"success": True, "unit": "mJ per inference", "data": parts.predictor.thresholds()}


@router.get("/energy/metadata")
async def metadata(parts: Given) -> dict[str, Any]:
    """Return how each predictor was trained and how well it does."""
    return {"success": True, "data": parts.predictor.metadata()}


def _predicted(parts: Parts, bodies: list[PredictBody]) -> list[Document]:
    """Return a document for each body in order; one call of the predictor for each type of device."""
    features = [_features(parts, body) for body in bodies]
    documents: list[Document] = [{} for _ in bodies]
    for device_type in {body.device_type for body in bodies}:
        where = [i for i, body in enumerate(bodies) if body.device_type == device_type]
        said = parts.predictor.predict_many([features[i] for i in where], device_type)
        for i, prediction in zip(where, said, strict=True):
            named = {"model_name": bodies[i].model_name, "device_type": device_type}
            documents[i] = named | prediction_document(prediction)
    return documents


def _features(parts: Parts, body: PredictBody) -> Features:
    gmacs = _gmacs(body)
    given = {field.name: getattr(body, field.name, None) for field in fields(Features)} | {"gmacs": gmacs}
    known: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if all(name in known for name in ("params_m", "gmacs", "size_mb")):
        return Features(**known)
    if not body.model_name:
        raise InvalidError(
            "params_m, gmacs and size_mb are needed", hint="or name a model of the catalogue", field="params_m"
        )
    return replace(parts.catalogue.get(body.model_name).features, **known)


def _gmacs(body: PredictBody) -> float | None:
    if body.gflops is None:
        return body.gmacs
    from_flops = body.gflops / FLOPS_PER_MAC
    if body.gmacs is not None and abs(from_flops - body.gmacs) > FLOPS_TOLERANCE * max(from_flops, body.gmacs):
        raise InvalidError(
            f"gflops {body.gflops:g} is not twice gmacs {body.gmacs:g}",
            hint="one multiply-add is two operations; give one of the two",
            field="gflops",
        )
    return from_flops if body.gmacs is None else body.gmacs
