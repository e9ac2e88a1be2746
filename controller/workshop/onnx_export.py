"""Writes a torch module as ONNX that old runtimes read, by the older exporter where it can."""

from importlib.metadata import version
from pathlib import Path

import torch

from controller.models.graph import OPSET
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
