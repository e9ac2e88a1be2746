"""Writes a torch module as ONNX that old runtimes read, by the older exporter where it can."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx
import torch

from controller.models.graph import IR_VERSION, OPSET
from controller.workshop.failures import refused
from controller.workshop.network import INPUT, OUTPUT

DYNAMO_OPSET = 18
"""torch.export's exporter writes nothing older."""


def export(module: torch.nn.Module, example: torch.Tensor, path: Path) -> dict[str, str]:
    """Write `module` at `path`; return the exporter's name and version.

    Raises ArtifactError (`unsupported_operator`, `conversion_failed`) with the reason of the exporter that got further.
    """
    try:
        _legacy(module, example, path)
    except Exception as first:  # noqa: BLE001  # exporters raise whatever the network's code makes them
        try:
            _dynamo(module, example, path)
        except Exception as second:  # same
            raise refused("PyTorch's ONNX exporter", first, second) from second
        return {"torch.onnx (dynamo)": version("torch"), "onnxscript": version("onnxscript")}
    return {"torch.onnx": version("torch")}


def _legacy(module: torch.nn.Module, example: torch.Tensor, path: Path) -> None:
    torch.onnx.export(
        module,
        (example,),
        path,
        opset_version=OPSET,
        dynamo=False,
        input_names=[INPUT],
        output_names=[OUTPUT],
    )
    _settle(path)


def _dynamo(module: torch.nn.Module, example: torch.Tensor, path: Path) -> None:
    torch.onnx.export(
        module,
        (example,),
        path,
        opset_version=DYNAMO_OPSET,
        dynamo=True,
        external_data=False,
        verbose=False,
        input_names=[INPUT],
        output_names=[OUTPUT],
    )
    _settle(path)


def _settle(path: Path) -> None:
    """Make the file say the oldest version of its form that holds it, and nothing that differs from run to run."""
    model = onnx.load(path)
    model.ir_version = min(model.ir_version, IR_VERSION)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def opset_of(model: Any) -> int | None:
    """Return the version of the standard operators that `model` uses."""
    return next((int(found.version) for found in model.opset_import if found.domain in {"", "ai.onnx"}), None)
