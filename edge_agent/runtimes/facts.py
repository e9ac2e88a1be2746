"""Reads what a model file says about itself: name, labels, samples with their expected answers."""

import base64
import binascii
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from broker.errors import ArtifactError


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One input of uint8 `data`: the model gets data x scale + offset; `expect` is the golden output, flat."""

    name: str
    shape: tuple[int, ...]
    data: bytes
    scale: float = 1.0
    offset: float = 0.0
    truth: str | None = None
    expect: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What a model says of itself; labels of an untrained model mean nothing, so they are left out."""

    model: str | None = None
    trained: bool = False
    labels: tuple[str, ...] = ()
    samples: tuple[Sample, ...] = ()
    gmacs: float | None = None
    params_m: float | None = None
    source: str | None = None


def read_facts(metadata: Mapping[str, str]) -> ModelFacts:
    """Return the facts in `metadata` (ONNX metadata_props, keys `edgewatt.*`); raises ArtifactError (`load_failed`)."""
    trained = metadata.get("edgewatt.trained") == "true"
    try:
        return ModelFacts(
            model=metadata.get("edgewatt.model"),
            trained=trained,
            labels=tuple(str(label) for label in _list(metadata, "edgewatt.labels")) if trained else (),
            samples=tuple(_sample(item) for item in _list(metadata, "edgewatt.samples")),
            gmacs=_number(metadata.get("edgewatt.gmacs")),
            params_m=_number(metadata.get("edgewatt.params_m")),
            source=metadata.get("edgewatt.source"),
        )
    except (ValueError, TypeError, KeyError, binascii.Error) as error:
        raise ArtifactError(f"the model's metadata cannot be read: {error}", code="load_failed") from error


def _list(metadata: Mapping[str, str], key: str) -> list[Any]:
    found = json.loads(metadata.get(key, "[]"))
    if not isinstance(found, list):
        raise TypeError(f"{key} is no list")
    return found


def _sample(item: Any) -> Sample:
    sample = Sample(
        name=str(item["name"]),
        shape=tuple(int(n) for n in item["shape"]),
        data=base64.b64decode(item["data"], validate=True),
        scale=float(item.get("scale", 1.0)),
        offset=float(item.get("offset", 0.0)),
        truth=None if item.get("truth") is None else str(item["truth"]),
        expect=tuple(float(v) for v in item.get("expect") or ()),
    )
    if item.get("dtype", "uint8") != "uint8" or math.prod(sample.shape) != len(sample.data):
        raise ValueError(f"sample {sample.name} has {len(sample.data)} bytes for shape {list(sample.shape)}")
    return sample


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)
