"""Weights in a file of the user's, safetensors or a weights-only pickle, in an architecture that timm knows."""

import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from broker.errors import ArtifactError, InvalidError
from controller.models.cpu_torch import load_timm
from controller.workshop.timm_networks import create, dressed
from controller.workshop.torch_network import TorchNetwork


def with_weights(path: Path, architecture: str) -> TorchNetwork:
    """Return `architecture`, for any number of classes, with all the weights in the file at `path` and no others.

    Raises ArtifactError that names the first weight which does not fit, NotFoundError for an unknown architecture.
    """
    if not architecture:
        raise InvalidError(
            f"{path.name} holds weights, and weights alone are no network",
            code="bad_artifact",
            hint="name the architecture of timm that they belong to",
        )
    weights = _read(path)
    network = create(architecture, pretrained=False)
    head = network.pretrained_cfg.get("classifier")
    found = weights.get(f"{head}.weight") if isinstance(head, str) else None
    if found is not None and found.shape[0] != network.num_classes:
        network = create(architecture, pretrained=False, num_classes=found.shape[0])
    _require_fit(path, architecture, network.state_dict(), weights)
    network.load_state_dict(weights, strict=True)
    return dressed(network, trained=True, named=False, source=f"{architecture} with weights added by hand")


def _read(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors in the file: nothing in it is ever executed."""
    try:
        weights: dict[str, Any] = load_timm().models.load_state_dict(str(path), weights_only=True)
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError, SafetensorError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise ArtifactError(
            f"{path.name} cannot be read as weights alone: {said[:200]}", hint="save it as safetensors"
        ) from error
    if not weights or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise ArtifactError(f"{path.name} holds more than weights, or none", hint="save the state_dict as safetensors")
    return weights


def _require_fit(
    path: Path, architecture: str, wanted: dict[str, torch.Tensor], weights: dict[str, torch.Tensor]
) -> None:
    def refuse(why: str) -> ArtifactError:
        return ArtifactError(
            f"{path.name} does not fit {architecture}: {why}", hint="is it another architecture, or another version?"
        )

    for name, tensor in wanted.items():
        if name not in weights:
            raise refuse(f"{name} is missing")
        if weights[name].shape != tensor.shape:
            raise refuse(f"{name} has shape {list(weights[name].shape)}, not {list(tensor.shape)}")
    if more := next((name for name in weights if name not in wanted), None):
        raise refuse(f"it has no {more}")
