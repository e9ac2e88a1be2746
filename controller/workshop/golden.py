"""Compares how a converted file answers with what it was made from, and judges whether it is the same network."""

from collections.abc import Sequence

import numpy as np

from broker.errors import ArtifactError
from controller.models.manifest import Golden, Variant
from controller.workshop.network import Floats

TOLERANCE = {"fp32": 1e-3, "fp16": 5e-2}
"""Largest difference beside the strongest answer: kernels differ by 1e-6, halved precision by some 1e-3."""

FEWEST_AGREEING = 0.5
"""Share of inputs on which an int8 file has to have the same strongest answer: below it, it is another network."""


def compare(ours: Sequence[Floats], theirs: Sequence[Floats], *, against: str) -> Golden:
    """Return how `ours`, the file's answers, differ from `theirs`, both one per input."""
    pairs = list(zip(ours, theirs, strict=True))
    return Golden(
        against=against,
        inputs=len(pairs),
        max_abs=max(float(np.abs(a - b).max()) for a, b in pairs),
        cosine=min(_cosine(a, b) for a, b in pairs),
        top1_agreement=sum(int(a.argmax() == b.argmax()) for a, b in pairs) / len(pairs),
    )


def judge(golden: Golden, variant: Variant, *, strongest: float, trained: bool, name: str) -> None:
    """Raise ArtifactError (`golden_mismatch`) when the file is no longer the network that it was made from.

    `strongest` is the largest answer of the source. An untrained network in int8 is not judged by its strongest
    answer: all of its answers are nearly alike, so that the least rounding decides.
    """
    if not np.isfinite([golden.max_abs, golden.cosine]).all():
        raise _mismatch(name, f"it answers with what is no number; {golden.against} does not")
    if variant == "int8":
        if trained and golden.top1_agreement < FEWEST_AGREEING:
            share = f"{golden.top1_agreement:.0%} of {golden.inputs} inputs"
            raise _mismatch(name, f"its strongest answer is that of {golden.against} on {share}")
    elif golden.max_abs > TOLERANCE[variant] * strongest:
        raise _mismatch(
            name,
            f"its answers differ from {golden.against} by {golden.max_abs:.2g} where the largest is {strongest:.2g}",
        )


def _cosine(a: Floats, b: Floats) -> float:
    """Return the cosine of both answers without their means: all answers of a softmax are alike with them."""
    a, b = a - a.mean(), b - b.mean()
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norms if norms else float(np.array_equal(a, b))


def _mismatch(name: str, why: str) -> ArtifactError:
    return ArtifactError(f"{name} is not what it was made from: {why}", code="golden_mismatch", hint="keep fp32")
