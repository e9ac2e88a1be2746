"""Reads what a model file says about itself: name, labels, samples with their expected answers."""

import base64
import binascii
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from broker.errors import ArtifactError

Layout = Literal["nchw", "nhwc"]


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
class Picture:
    """How a picture becomes the model's input: its middle at the input's size, then (pixel / 255 - mean) / std.

    `crop` is the share of the picture that is kept; `mean` and `std` are one number, or one per channel. Without a
    `layout` the input's shape tells it.
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    crop: float = 1.0
    layout: Layout | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What a model says of itself; labels of an untrained model mean nothing, so they are left out.

    `shape` is that of its first input once it is loaded.
    """

    model: str | None = None
    trained: bool = False
    labels: tuple[str, ...] = ()
    samples: tuple[Sample, ...] = ()
    picture: Picture = Picture()
    shape: tuple[int, ...] = ()
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
            picture=_picture(metadata.get("edgewatt.input", "{}")),
            gmacs=_number(metadata.get("edgewatt.gmacs")),
            params_m=_number(metadata.get("edgewatt.params_m")),
            source=metadata.get("edgewatt.source"),
        )
    except (ValueError, TypeError, KeyError, AttributeError, binascii.Error) as error:
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


def _picture(text: str) -> Picture:
    """Return how pictures are prepared; what `text` leaves out is as in a `Picture` that says nothing."""
    said = json.loads(text)
    usual = Picture()
    mean, std = _per_channel(said.get("mean", usual.mean)), _per_channel(said.get("std", usual.std))
    crop, layout = float(said.get("crop", usual.crop)), said.get("layout")
    if not 0 < crop <= 1 or layout not in (None, "nchw", "nhwc") or not all(std) or not {len(mean), len(std)} <= {1, 3}:
        raise ValueError(f"edgewatt.input is {text[:120]}")
    return Picture(mean=mean, std=std, crop=crop, layout=cast(Layout | None, layout))


def _per_channel(value: Any) -> tuple[float, ...]:
    return tuple(float(v) for v in value) if isinstance(value, (list, tuple)) else (float(value),)


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)
