"""Asks a finished file and its source the same, and chooses the samples that prove the file on a device."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from controller.models.manifest import Format, Golden
from controller.workshop import images, running
from controller.workshop.describing import sample
from controller.workshop.golden import compare, judge
from controller.workshop.network import Card, Network, Pixels
from controller.workshop.request import Request

CARRIED = 2
"""Samples in a file: an image of 224 x 224 takes 200 kB."""

STEADY = 0.005
"""A device accepts 0.01: answers that move by more than half of it between kernels prove nothing about a file."""


def check(request: Request, network: Network, path: Path, others: Sequence[Pixels]) -> Golden:
    """Return how the file at `path` answers; raises ArtifactError (`golden_mismatch`) when it is another network."""
    card = network.card
    run = running.load(path, request.format)
    pixels = [*(found for _, found in images.named(card)[: None if card.samples else CARRIED]), *others]
    inputs = [card.prepared(each) for each in pixels]
    theirs = [network.answer(image) for image in inputs]
    golden = compare([run(image) for image in inputs], theirs, against=network.spoken_of)
    strongest = max(float(np.abs(answer).max()) for answer in theirs)
    judge(golden, request.variant, strongest=strongest, trained=card.trained, name=request.name)
    return golden


def samples(card: Card, path: Path, form: Format, *, all_of_them: bool) -> list[dict[str, object]]:
    """Return inputs with what the file answers, only such as other kernels answer alike."""
    run, plain = running.load(path, form), running.load(path, form, plain=True)
    found: list[dict[str, object]] = []
    truths = card.truths or (None,) * len(card.samples)
    for i, (name, pixels) in enumerate(images.named(card)):
        image = card.prepared(pixels)
        answer = run(image)
        scale = max(float(np.abs(answer).max()), 1.0)
        if float(np.abs(answer - plain(image)).max()) <= STEADY * scale:
            found.append(sample(card, name, pixels, answer, truth=truths[i] if card.samples else None))
        if len(found) == CARRIED and not all_of_them:
            break
    return found
