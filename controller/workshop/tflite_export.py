"""Writes a torch module as TFLite in fp32 by litert-torch."""

from importlib.metadata import version
from pathlib import Path

import litert_torch
import torch

from controller.workshop.failures import refused
from controller.workshop.network import INPUT


def write_tflite(module: torch.nn.Module, shape: tuple[int, ...], path: Path) -> dict[str, str]:
    """Write `module`, which takes `shape`, in fp32 at `path`; return the tool.

    Raises ArtifactError (`unsupported_operator`, `conversion_failed`).
    """
    try:
        litert_torch.convert(module, sample_kwargs={INPUT: torch.zeros(shape)}).export(str(path))
    except Exception as error:  # converters raise whatever the network's code makes them
        raise refused("litert-torch", error, hint="ONNX may be able to; ask for --format onnx") from error
    return {"litert-torch": version("litert-torch")}
