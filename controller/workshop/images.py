"""The images that calibrate and check a conversion: those of a folder, the network's own, or photographs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from broker.errors import InvalidError
from controller.workshop import photographs
from controller.workshop.network import Card, Pixels

COLOURS, GREY = 3, 1
CALIBRATING, CHECKING = 64, 60
"""How many images set the scales of an int8 file, and how many others judge it."""

FEWEST_FILES = 8
CALIBRATION_SEED, CHECK_SEED, NOISE_SEED = 1, 2, 7
A_FEW = 6
CANDIDATES = 32
"""Crops among which the samples of a file are looked for: few are answered alike by every processor in integers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """`calibrating` images and further ones for `checking` beside those that the file carries; `said` in words."""

    calibrating: Sequence[Pixels]
    checking: Sequence[Pixels]
    said: str


def a_few(card: Card) -> list[Pixels]:
    """Return what an exact conversion is checked with: noise, and crops of photographs where it takes colours."""
    noise = np.random.default_rng(NOISE_SEED).integers(0, 256, card.shape, dtype=np.uint8)
    if card.samples:
        return [noise]
    return [noise, *_crops(card, A_FEW, CHECK_SEED)]


def for_integers(card: Card, folder: Path | None) -> Images:
    """Return the images for an int8 file: those in `folder`, or the network's own, or crops of photographs.

    Raises InvalidError (`bad_calibration`) for a folder that cannot serve, and where there is nothing else.
    """
    if folder is not None:
        found = _in_folder(card, folder)
        said = f"{len(found[0::2])} images of {folder.name}"
        return Images(calibrating=found[0::2], checking=found[1::2], said=said)
    if card.samples:
        own = [pixels for _, pixels in card.samples]
        return Images(calibrating=own, checking=(), said=f"the {len(own)} samples in the model's file")
    if crops := _crops(card, CALIBRATING, CALIBRATION_SEED):
        said = f"{CALIBRATING} {photographs.SAID}"
        return Images(calibrating=crops, checking=_crops(card, CHECKING, CHECK_SEED), said=said)
    raise _bad(f"int8 needs inputs to measure, and a network that takes {list(card.shape)} has none of its own")


def named(card: Card) -> list[tuple[str, Pixels]]:
    """Return the inputs that a file may carry as samples, the best first."""
    if card.samples:
        return list(card.samples)
    if card.image is None or card.image[0] != COLOURS:
        return []
    _, height, width = card.image
    crops = photographs.crops(height, width, count=CANDIDATES, seed=CALIBRATION_SEED)
    return [*photographs.whole(height, width).items(), *((f"crop-{i}", crop) for i, crop in enumerate(crops))]


def _crops(card: Card, count: int, seed: int) -> list[Pixels]:
    if card.image is None or card.image[0] != COLOURS:
        return []
    return photographs.crops(card.image[1], card.image[2], count=count, seed=seed)


def _in_folder(card: Card, folder: Path) -> list[Pixels]:
    if card.image is None or card.image[0] not in {COLOURS, GREY}:
        raise _bad(f"a network that takes {list(card.shape)} takes no images")
    if not folder.is_dir():
        raise _bad(f"there is no folder {folder}")
    known = Image.registered_extensions()
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in known and path.is_file())
    if len(paths) < FEWEST_FILES:
        raise _bad(f"{folder} has {len(paths)} images, and at least {FEWEST_FILES} are needed")
    return [_read(path, card.image) for path in paths[: CALIBRATING + CHECKING]]


def _read(path: Path, wanted: tuple[int, int, int]) -> Pixels:
    channels, height, width = wanted
    try:
        with Image.open(path) as image:
            pixels = photographs.centre(image.convert("RGB"), height, width)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _bad(f"{path} cannot be read as an image: {error}") from None
    return pixels if channels == COLOURS else pixels.mean(1, keepdims=True).astype(np.uint8)


def _bad(why: str) -> InvalidError:
    return InvalidError(why, code="bad_calibration", hint="name a folder of pictures such as the model will see")
