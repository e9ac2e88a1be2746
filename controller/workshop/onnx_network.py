"""A network in an ONNX file of the user's: asked through onnxruntime, converted by way of PyTorch."""

import base64
import json
import math
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx

from broker.errors import ArtifactError
from controller.models.analyze import analyze
from controller.workshop import running
from controller.workshop.network import Card, Floats, Pixels

ZERO_TO_ONE = 1 / 255
"""What a pixel is multiplied by where the file does not say: the usual 0 … 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxNetwork:
    """The network in the file at `path`, which has one input of floats."""

    path: Path
    card: Card
    run: running.Run
    tools: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the network at `path`; raises ArtifactError for a file that is not sound or takes something else."""
        facts = analyze(path)
        model = onnx.load(path, load_external_data=False)
        if facts.quantized:
            raise ArtifactError(
                f"{path.name} is in integers already", hint="convert the file in fp32 that it was made from"
            )
        return cls(path=path, card=_card(_shape(path, model), facts.metadata), run=running.load(path, "onnx"))

    @property
    def spoken_of(self) -> str:
        """What a converted file is compared with."""
        return "the ONNX file it was made from"

    def answer(self, image: Floats) -> Floats:
        """Return its answer to one image, flat."""
        return self.run(image)

    def write_onnx(self, path: Path) -> dict[str, str]:
        """Copy it."""
        shutil.copyfile(self.path, path)
        return {}

    def module(self) -> Any:
        """Return it as a torch module; raises ArtifactError (`unsupported_operator`) naming what onnx2torch lacks."""
        from controller.workshop.onnx_to_torch import as_module  # noqa: PLC0415  # torch takes seconds

        with tempfile.TemporaryDirectory() as folder:
            return as_module(self.path, self.card.shape, Path(folder))


def _shape(path: Path, model: onnx.ModelProto) -> tuple[int, ...]:
    """Return the shape of the only input, a free batch taken as one."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [given for given in model.graph.input if given.name not in weights]
    if len(inputs) != 1:
        raise ArtifactError(f"{path.name} takes {len(inputs)} inputs", hint="a model of one input can be converted")
    tensor = inputs[0].type.tensor_type
    if tensor.elem_type != onnx.TensorProto.FLOAT:
        raise ArtifactError(f"{path.name} does not take fp32", hint="export it with an input of 32-bit floats")
    first, *rest = (dim.dim_value for dim in tensor.shape.dim) if tensor.shape.dim else (0,)
    shape = (first or 1, *rest)
    if not all(rest) or shape[0] != 1:
        raise ArtifactError(f"{path.name} takes {list(shape)}", hint="export it for one image of a fixed size")
    return shape


def _card(shape: tuple[int, ...], said: Mapping[str, str]) -> Card:
    """Return what the file says of itself; samples that do not fit its input are left out."""
    samples, scale, offset = _samples(shape, said)
    return Card(
        shape=shape,
        scale=scale,
        offset=offset,
        trained=said.get("edgewatt.trained") != "false",
        source=said.get("edgewatt.source", "an ONNX file added by hand"),
        labels=tuple(str(label) for label in _list(said, "edgewatt.labels")),
        samples=tuple((name, pixels) for name, pixels, _ in samples),
        truths=tuple(truth for _, _, truth in samples),
        top1_pct=_number(said.get("edgewatt.top1_pct")),
        licence=said.get("edgewatt.licence"),
        picture=said.get("edgewatt.input"),
    )


def _samples(
    shape: tuple[int, ...], said: Mapping[str, str]
) -> tuple[list[tuple[str, Pixels, str | None]], float, float]:
    found: list[tuple[str, Pixels, str | None]] = []
    scale, offset = ZERO_TO_ONE, 0.0
    for item in _list(said, "edgewatt.samples"):
        try:
            pixels = np.frombuffer(base64.b64decode(item["data"], validate=True), np.uint8)
            taken = float(item.get("scale", 1.0)), float(item.get("offset", 0.0))
            truth = None if item.get("truth") is None else str(item["truth"])
            name = str(item["name"])
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
        if pixels.size == math.prod(shape) and (not found or taken == (scale, offset)):
            scale, offset = taken
            found.append((name, pixels.reshape(shape), truth))
    return found, scale, offset


def _list(said: Mapping[str, str], key: str) -> list[Any]:
    try:
        found = json.loads(said.get(key, "[]"))
    except ValueError:
        return []
    return found if isinstance(found, list) else []


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
