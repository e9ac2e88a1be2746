"""Counts what a torch network computes, on the meta device: shapes without numbers, so no weights are needed."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

FLOPS_PER_MAC = 2

NORM_OPERATIONS = 2
"""Operations per element that fvcore, with which timm's published figures were made, counts for a batch norm."""

LAYER_NORM_OPERATIONS = 5
"""The same for a layer norm or a group norm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Totals over one inference of one image: `params`, multiply-adds `macs`, outputs of convolutions `activations`.

    `attention_macs`, of `macts`, were done inside scaled dot product attention; `norm_operations` as fvcore counts
    them.
    """

    params: int
    macs: int
    depthwise_macs: int
    activations: int
    convs: int
    attention_macs: int
    norm_operations: int


def trace(network: torch.nn.Module, side: int) -> Trace:
    """Return the totals of `network`, which lies on the meta device, for a square image of `side` pixels."""
    image = torch.zeros(1, 3, side, side, device="meta")
    attention, layers = _Attention(), _Layers()
    with torch.no_grad(), FlopCounterMode(display=False) as flops, layers, attention:
        network.eval().requires_grad_(requires_grad=False)(image)
    return Trace(
        params=sum(p.numel() for p in network.parameters()),
        macs=flops.get_total_flops() // FLOPS_PER_MAC,
        depthwise_macs=layers.depthwise_macs,
        activations=layers.activations,
        convs=layers.convs,
        attention_macs=attention.macs,
        norm_operations=layers.norm_operations,
    )


class _Layers(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch types it not
    """Looks at every convolution and every normalisation that is computed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self.depthwise_macs = self.activations = self.convs = self.norm_operations = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.convolution.default:
            self._convolution(result, *args)
        elif func in _NORMS:
            self.norm_operations += _NORMS[func] * args[0].numel()
        return result

    def _convolution(self, result: torch.Tensor, image: torch.Tensor, weight: torch.Tensor, *settings: Any) -> None:
        _, _, _, _, transposed, _, groups = settings
        self.convs += 1
        self.activations += result.numel()
        if groups > 1 and weight.shape[1] == 1:
            places = image if transposed else result
            self.depthwise_macs += places.numel() * math.prod(weight.shape[1:])


class _Attention(TorchFunctionMode):
    """Looks at every scaled dot product attention, fused or not."""

    def __init__(self) -> None:
        super().__init__()
        self.macs = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is torch.nn.functional.scaled_dot_product_attention:
            query, key, value = args[:3]
            self.macs += query.numel() * key.shape[-2] + query.shape[:-1].numel() * key.shape[-2] * value.shape[-1]
        return func(*args, **(kwargs or {}))


_NORMS = {
    torch.ops.aten.native_batch_norm.default: NORM_OPERATIONS,
    torch.ops.aten._native_batch_norm_legit_no_training.default: NORM_OPERATIONS,  # noqa: SLF001  # its only name
    torch.ops.aten.native_layer_norm.default: LAYER_NORM_OPERATIONS,
    torch.ops.aten.native_group_norm.default: LAYER_NORM_OPERATIONS,
}
