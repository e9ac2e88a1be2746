"""Predicted energy: one model or many, on a type of device or on a registered device."""

from dataclasses import dataclass, fields, replace
from typing import Any

from fastapi import APIRouter

from broker.errors import InvalidError
from controller.api.described import RESPONSES
from controller.api.documents import Document, prediction_document
from controller.api.parts import Given, Parts
from controller.predict.features import Features
from controller.predict.prediction import Predictor

router = APIRouter(prefix="/api", tags=["energy"], responses=RESPONSES)

MAX_BATCH = 1_000
TOLD = tuple(field.name for field in fields(Features))
FLOPS_PER_MAC = 2.0
FLOPS_TOLERANCE = 0.05


@dataclass(frozen=True, kw_only=True)
class PredictBody:
    """What is known of a model; what is left out is taken from the catalogue by `model_name`.

    With a registered `device_id` its calibration counts, and `device_type` is the device's own.
    """

    device_type: str = ""
    device_id: str = ""
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
    """Return a document for each body in order; one call of the predictor for each type of device, and each device."""
    features = [features_of(parts, body) for body in bodies]
    documents: list[Document] = [{} for _ in bodies]
    for device_type, device_id in {(body.device_type, body.device_id) for body in bodies}:
        where = [i for i, body in enumerate(bodies) if (body.device_type, body.device_id) == (device_type, device_id)]
        predictor, kind = _predictor(parts, device_type, device_id)
        said = predictor.predict_many([features[i] for i in where], kind)
        for i, prediction in zip(where, said, strict=True):
            named = {"model_name": bodies[i].model_name, "device_type": kind, "device_id": device_id or None}
            documents[i] = named | prediction_document(prediction)
    return documents


def _predictor(parts: Parts, device_type: str, device_id: str) -> tuple[Predictor, str]:
    """Return who answers for a device or a type of device, and the type. Raises NotFoundError, InvalidError."""
    if not device_id:
        if not device_type:
            raise InvalidError("device_type is missing", hint="or name a registered device_id", field="device_type")
        return parts.predictor, device_type
    device = parts.service.known_device(device_id)
    own = (device["info"] or {}).get("device_type") or "unknown"
    if device_type not in ("", own):
        raise InvalidError(
            f"{device_id} is a {own}, not a {device_type}", hint="give one of the two", field="device_type"
        )
    return parts.service.judge.predictor_for(device), own


def features_of(parts: Parts, body: PredictBody) -> Features:
    """Return what is known of a model, from the request or the catalogue. Raises InvalidError, NotFoundError."""
    gmacs = _gmacs(body)
    given = {name: getattr(body, name, None) for name in TOLD} | {"gmacs": gmacs}
    known: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    missing = [name for name in ("params_m", "gmacs", "size_mb") if name not in known]
    if not missing:
        return Features(**known)
    if not body.model_name:
        raise InvalidError(
            f"{missing[0]} is missing",
            hint="params_m, gmacs and size_mb are needed, or the model_name of one in the catalogue",
            field=missing[0],
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
