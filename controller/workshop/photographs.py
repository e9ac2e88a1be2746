"""The two photographs that scikit-learn ships, cut as a network takes them: whole, or at random for calibration."""

from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from controller.workshop.network import Pixels

SHARE = 0.875
"""How much of the shorter side a centre crop keeps, as is usual for ImageNet."""

SMALLEST, LARGEST = 0.4, 1.0
"""Share of the shorter side that a random crop has."""

SAID = "crops of scikit-learn's two photographs"


def whole(height: int, width: int) -> dict[str, Pixels]:
    """Return each photograph by name, centre-cropped to (1, 3, height, width)."""
    return {name: centre(image, height, width) for name, image in _photographs().items()}


def centre(image: Image.Image, height: int, width: int) -> Pixels:
    """Return the middle of `image` as (1, 3, height, width)."""
    scale = max(height / image.height, width / image.width) / SHARE
    resized = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (resized.width - width) // 2, (resized.height - height) // 2
    return _pixels(resized.crop((left, top, left + width, top + height)))


def crops(height: int, width: int, *, count: int, seed: int) -> list[Pixels]:
    """Return `count` squares at random places, half of them mirrored; the same seed gives the same ones."""
    rng = np.random.default_rng(seed)
    images = list(_photographs().values())
    found = []
    for i in range(count):
        image = images[i % len(images)]
        side = int(min(image.size) * rng.uniform(SMALLEST, LARGEST))
        left, top = (int(rng.integers(0, extent - side + 1)) for extent in image.size)
        part = image.resize((width, height), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
        found.append(_pixels(part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 1 / 2 else part))
    return found


def _pixels(image: Image.Image) -> Pixels:
    return np.ascontiguousarray(np.asarray(image.convert("RGB")).transpose(2, 0, 1)[None])


@cache
def _photographs() -> dict[str, Image.Image]:
    found = load_sample_images()
    return {Path(n).stem: Image.fromarray(pixels) for n, pixels in zip(found.filenames, found.images, strict=True)}
