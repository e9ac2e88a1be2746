"""Writes into a finished file what it says of itself: `edgewatt.*` texts, the same in either format."""

import base64
import json
from pathlib import Path

import onnx

from broker.metadata import append
from controller.models.manifest import Format
from controller.workshop.network import Card, Floats, Pixels

DIGITS = 6


def sample(card: Card, name: str, pixels: Pixels, answer: Floats) -> dict[str, object]:
    """Return one input as devices take it, with what the finished file answered."""
    return {
        "name": name,
        "shape": pixels.shape,
        "dtype": "uint8",
        "scale": card.scale,
        "offset": card.offset,
        "data": base64.b64encode(pixels.tobytes()).decode(),
        "expect": [round(float(value), DIGITS) for value in answer],
    }


def texts(name: str, card: Card, samples: list[dict[str, object]], extra: dict[str, str]) -> dict[str, str]:
    """Return what a file called `name` says of itself; what is unknown is left out."""
    found = {
        "edgewatt.model": name,
        "edgewatt.trained": json.dumps(card.trained),
        "edgewatt.labels": json.dumps(card.labels, ensure_ascii=False) if card.labels else None,
        "edgewatt.samples": json.dumps(samples, separators=(",", ":")) if samples else None,
        "edgewatt.top1_pct": None if card.top1_pct is None else str(card.top1_pct),
        "edgewatt.source": card.source,
        "edgewatt.licence": card.licence,
        **extra,
    }
    return {key: value for key, value in found.items() if value is not None}


def write(path: Path, form: Format, said: dict[str, str]) -> None:
    """Put `said` into the file at `path`."""
    if form == "tflite":
        append(path, said)
        return
    model = onnx.load(path)
    onnx.helper.set_model_props(model, said)
    onnx.save(model, path)
