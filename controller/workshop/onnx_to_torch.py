"""Turns an ONNX file into a torch module by onnx2torch, helped where it wants constants to be constants."""

from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import torch

from controller.models.cpu_torch import load_timm
from controller.workshop.failures import refused

HINT = "ONNX runs as it is; for TFLite start from the PyTorch network"


def as_module(path: Path, shape: tuple[int, ...], folder: Path) -> Any:
    """Return the network at `path`, which takes `shape`, as a torch module; writes into `folder`.

    Raises ArtifactError (`unsupported_operator`, `conversion_failed`).
    """
    load_timm()  # lets torchvision load, which onnx2torch wants
    from onnx2torch import convert  # noqa: PLC0415  # only then
    from onnx2torch.node_converters.resize import OnnxResize  # noqa: PLC0415  # same

    try:
        module = convert(onnx.load(_folded(path, folder))).eval()
        _fix_sizes(module, OnnxResize, torch.zeros(shape))
    except Exception as error:  # it raises whatever the file makes it
        raise refused("onnx2torch", error, hint=HINT) from error
    return _Named(module).eval()


class _Named(torch.nn.Module):
    """Takes its input as `image`, whatever the file called it."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.network(image)
        return answer


def _folded(path: Path, folder: Path) -> Path:
    """Write the file anew with everything computed that depends on no input."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folder / "folded.onnx")
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return folder / "folded.onnx"


class _Resized(torch.nn.Module):
    """Resizes to what an OnnxResize once computed; its further inputs no longer matter."""

    def __init__(self, size: tuple[int, ...], mode: str, *, align_corners: bool | None) -> None:
        super().__init__()
        self.size, self.mode, self.align_corners = size, mode, align_corners

    def forward(self, image: torch.Tensor, *_: torch.Tensor | None, **__: torch.Tensor | None) -> torch.Tensor:
        return torch.nn.functional.interpolate(image, self.size, mode=self.mode, align_corners=self.align_corners)


def _fix_sizes(module: Any, resize: type[torch.nn.Module], example: torch.Tensor) -> None:
    """Replace each `resize`, whose size is a tensor, by one of fixed size: exporters need to know it beforehand."""
    sizes: dict[str, tuple[int, ...]] = {}
    found = {name: each for name, each in module.named_modules() if isinstance(each, resize)}
    hooks = [
        each.register_forward_hook(lambda _, __, given, name=name: sizes.update({name: tuple(given.shape[2:])}))
        for name, each in found.items()
    ]
    with torch.no_grad():
        module(example)
    for hook in hooks:
        hook.remove()
    modes = {("linear", 1): "linear", ("linear", 2): "bilinear", ("cubic", 2): "bicubic", ("linear", 3): "trilinear"}
    for name, each in found.items():
        known: Any = each
        mode = modes.get((known.onnx_mode, len(sizes[name])), known.onnx_mode)
        module.set_submodule(name, _Resized(sizes[name], mode, align_corners=known.align_corners))
