"""Networks of timm by name, with its published weights, with weights drawn from a seed, or with weights from a file."""

import difflib
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import torch

from broker.errors import NotFoundError
from controller.models.cpu_torch import load_timm
from controller.workshop.network import Card
from controller.workshop.torch_network import Answering, TorchNetwork, picture, scale_and_offset

SEED = 20
"""The same architecture drawn from it has the same weights everywhere."""


def architecture_of(name: str) -> str:
    """Return the architecture in `name` or `name.tag`; NotFoundError (`unknown_model`) with the nearest ones."""
    timm = load_timm()
    architecture = name.partition(".")[0]
    if not timm.is_model(architecture):
        near = difflib.get_close_matches(architecture, timm.list_models(), n=3, cutoff=0.4)
        hint = f"did you mean {', '.join(near)}?" if near else "edgewatt models list shows what there is"
        raise NotFoundError(f"timm has no network {architecture!r}", code="unknown_model", hint=hint)
    return architecture


def create(name: str, **options: Any) -> Any:
    """Return the network that timm calls `name`; weights are drawn from the seed. Raises NotFoundError."""
    architecture_of(name)
    torch.manual_seed(SEED)
    try:
        return load_timm().create_model(name, **options).eval()
    except RuntimeError as error:
        if "Invalid pretrained tag" not in str(error):
            raise
        raise no_such_weights(name) from None


def no_such_weights(name: str) -> NotFoundError:
    """Return the error for weights that timm does not publish, with those it does."""
    known = load_timm().list_pretrained(f"{name.partition('.')[0]}.*")
    hint = f"it has {', '.join(known)}" if known else "--untrained needs none; or edgewatt models add FILE"
    return NotFoundError(f"timm publishes no weights {name!r}", code="unknown_model", hint=hint)


def untrained(name: str) -> TorchNetwork:
    """Return the architecture with weights drawn from a seed: real work for a board, answers that mean nothing."""
    architecture = architecture_of(name)
    network = create(architecture, pretrained=False)
    return dressed(network, trained=False, source=f"timm {architecture}, random weights from seed {SEED}")


def dressed(
    network: torch.nn.Module,
    *,
    trained: bool,
    source: str,
    named: bool = True,
    tools: Mapping[str, str] | None = None,
    top1_pct: float | None = None,
    licence: str | None = None,
) -> TorchNetwork:
    """Return `network` of timm as one that takes pixels and answers with probabilities.

    `named` when its classes are those of the data set that timm's weights of it were trained on.
    """
    config: dict[str, Any] = load_timm().data.resolve_data_config(model=network)
    mean, std = tuple(config["mean"]), tuple(config["std"])
    scale, offset = scale_and_offset(mean, std)
    card = Card(
        shape=(1, *config["input_size"]),
        scale=scale,
        offset=offset,
        trained=trained,
        labels=_labels(network) if trained and named else (),
        source=source,
        top1_pct=top1_pct,
        licence=licence,
        picture=picture(mean, std, float(config["crop_pct"])),
    )
    return TorchNetwork(
        torch_module=Answering(network, mean=mean, std=std).eval(),
        card=card,
        tools={"timm": version("timm"), "torch": version("torch"), **(tools or {})},
    )


def _labels(network: torch.nn.Module) -> tuple[str, ...]:
    """Return the classes of ImageNet that `network` tells apart, none where it was trained on something else."""
    data = load_timm().data
    subset = data.infer_imagenet_subset(network)
    if not subset:
        return ()
    info = data.ImageNetInfo(subset)
    return tuple(info.index_to_description(i).split(",")[0] for i in range(info.num_classes()))
