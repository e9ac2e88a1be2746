"""Writes into a finished file what it says of itself: `edgewatt.*` texts, the same in either format."""

import base64
import json
from pathlib import Path

import onnx

from broker.errors import ArtifactError
from broker.metadata import append
from controller.models.analyze import analyze
from controller.models.graph import IR_VERSION
from controller.models.manifest import Format, Variant
from controller.workshop.network import Card, Floats, Pixels

DIGITS = 6
STANDARD = frozenset({"", "ai.onnx"})
NEWEST_FOR_IR = 18
"""The newest opset of files that say IR version 8 (onnx.helper.VERSION_TABLE)."""


def sample(card: Card, name: str, pixels: Pixels, answer: Floats, *, truth: str | None) -> dict[str, object]:
    """Return one input as devices take it, with what the finished file answered."""
    return {
        "name": name,
        "shape": pixels.shape,
        "dtype": "uint8",
        "scale": card.scale,
        "offset": card.offset,
        "data": base64.b64encode(pixels.tobytes()).decode(),
        "expect": [round(float(value), DIGITS) for value in answer],
        **({} if truth is None else {"truth": truth}),
    }


def texts(
    name: str, variant: Variant, card: Card, samples: list[dict[str, object]], extra: dict[str, str]
) -> dict[str, str]:
    """Return what a file called `name` says of itself; what is unknown is left out.

    A published accuracy is that of fp32, and is said of nothing else.
    """
    top1_pct = card.top1_pct if variant == "fp32" else None
    found = {
        "edgewatt.model": name,
        "edgewatt.trained": json.dumps(card.trained),
        "edgewatt.labels": json.dumps(card.labels, ensure_ascii=False) if card.labels else None,
        "edgewatt.samples": json.dumps(samples, separators=(",", ":")) if samples else None,
        "edgewatt.input": card.picture,
        "edgewatt.top1_pct": None if top1_pct is None else str(top1_pct),
        "edgewatt.source": card.source,
        "edgewatt.licence": card.licence,
        **extra,
    }
    return {key: value for key, value in found.items() if value is not None}


def cost_of(path: Path) -> dict[str, str]:
    """Return what the file at `path`, which is in fp32, computes; nothing where it cannot be told."""
    try:
        facts = analyze(path)
    except ArtifactError:
        return {}
    return {"edgewatt.gmacs": str(facts.macs / 1e9), "edgewatt.params_m": str(facts.params / 1e6)}


def settle(path: Path, form: Format) -> tuple[int | None, int | None]:
    """Let an ONNX file ask for no more than it needs, and return its opset and IR version; None for TFLite.

    That is a low IR version, and no operator sets that it does not use: old runtimes refuse the ones that they do not
    know.
    """
    if form == "tflite":
        return None, None
    model = onnx.load(path)
    used = {node.domain for node in model.graph.node} | STANDARD
    kept = [found for found in model.opset_import if found.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    opset = next(int(found.version) for found in kept if found.domain in STANDARD)
    if opset <= NEWEST_FOR_IR:
        model.ir_version = min(model.ir_version, IR_VERSION)
    onnx.save(model, path)
    return opset, int(model.ir_version)


def write(path: Path, form: Format, said: dict[str, str]) -> None:
    """Put `said` into the file at `path`."""
    if form == "tflite":
        append(path, said)
        return
    model = onnx.load(path)
    onnx.helper.set_model_props(model, said)
    onnx.save(model, path)
