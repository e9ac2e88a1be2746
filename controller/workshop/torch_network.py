"""A network of PyTorch: asked as it is, and written as ONNX."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from controller.workshop.network import Card, Floats
from controller.workshop.onnx_export import export


class Answering(torch.nn.Module):
    """A classifier that takes pixels in 0 … 1 where its channels are not alike, and answers with probabilities."""

    def __init__(self, network: torch.nn.Module, *, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        """Wrap `network`, which takes (pixel - mean) / std per channel; equal channels are left to the caller."""
        super().__init__()
        self.network = network
        self.gain: torch.Tensor
        self.shift: torch.Tensor
        self.alike = len(set(mean)) == 1 and len(set(std)) == 1
        shape = (1, len(mean), 1, 1)
        self.register_buffer("gain", torch.tensor([1 / s for s in std]).reshape(shape), persistent=False)
        self.register_buffer(
            "shift", torch.tensor([-m / s for m, s in zip(mean, std, strict=True)]).reshape(shape), persistent=False
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return one probability per class."""
        taken = image if self.alike else image * self.gain + self.shift
        return torch.softmax(self.network(taken), dim=-1)


def scale_and_offset(mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[float, float]:
    """Return what makes a pixel of 0 … 255 what `Answering` takes."""
    if len(set(mean)) == 1 and len(set(std)) == 1:
        return 1 / (255 * std[0]), -mean[0] / std[0]
    return 1 / 255, 0.0


def picture(mean: tuple[float, ...], std: tuple[float, ...], crop: float) -> str:
    """Return, as JSON, how a picture becomes what `Answering` takes: (pixel / 255 - mean) / std of its middle."""
    alike = len(set(mean)) == 1 and len(set(std)) == 1
    taken = {"mean": [mean[0]], "std": [std[0]]} if alike else {"mean": [0.0], "std": [1.0]}
    return json.dumps({"layout": "nchw", **taken, "crop": crop})


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchNetwork:
    """A torch module that takes `card.shape` and answers with probabilities."""

    torch_module: torch.nn.Module
    card: Card
    tools: dict[str, str] = field(default_factory=dict)

    @property
    def spoken_of(self) -> str:
        """What a converted file is compared with."""
        return "PyTorch in fp32"

    def answer(self, image: Floats) -> Floats:
        """Return its answer to one image, flat."""
        with torch.no_grad():
            answer: Floats = self.torch_module(torch.from_numpy(image)).numpy().reshape(-1)
        return answer

    def write_onnx(self, path: Path) -> dict[str, str]:
        """Write it in fp32; return the tools that did it. Raises ArtifactError (`unsupported_operator`)."""
        return export(self.torch_module, torch.zeros(self.card.shape), path)

    def module(self) -> Any:
        """Return the module."""
        return self.torch_module
