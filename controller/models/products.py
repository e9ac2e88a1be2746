"""Adds up what the multiplying operators of a graph cost."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from controller.models.facts import Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One operator that multiplies: its multiply-adds, and in what numbers (None: no stored weights take part).

    For a convolution also the elements that it gives and the side of what it reads.
    """

    macs: int
    numbers: Precision | None = None
    is_conv: bool = False
    depthwise: bool = False
    activations: int = 0
    side: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Totals over a graph: multiply-adds, outputs of convolutions, the numbers that most of the work is done in.

    `input_res` is the largest side of what a convolution reads: the size that the network really works at.
    """

    macs: int
    depthwise_macs: int
    activations: int
    convs: int
    input_res: int
    precision: Precision


def total(products: Iterable[Product]) -> Counts:
    """Return the sums of `products`."""
    found = list(products)
    work: Counter[Precision] = Counter()
    for product in found:
        if product.numbers:
            work[product.numbers] += product.macs
    return Counts(
        macs=sum(p.macs for p in found),
        depthwise_macs=sum(p.macs for p in found if p.depthwise),
        activations=sum(p.activations for p in found),
        convs=sum(p.is_conv for p in found),
        input_res=max((p.side for p in found), default=0),
        precision=work.most_common(1)[0][0] if work else "fp32",
    )
