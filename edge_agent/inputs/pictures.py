"""Makes of a picture what a model takes, as the model's file describes it; Pillow is imported on first use."""

import io
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from broker.errors import InvalidError, RuntimeUnavailableError
from edge_agent.runtimes.facts import Layout, ModelFacts

if TYPE_CHECKING:
    from PIL.Image import Image

INSTALL = "pip install 'edgewatt[images]' on the device"
FORMATS = ("PNG", "JPEG")
MOST_PIXELS = 50_000_000
"""A picture of 50 megapixels takes 150 MB unpacked; a small file may claim to be far larger."""

MODES = {1: "L", 3: "RGB"}


def check_installed() -> None:
    """Raise RuntimeUnavailableError (`extra_missing`) when pictures cannot be read here."""
    if find_spec("PIL") is None:
        raise RuntimeUnavailableError("reading pictures needs Pillow", code="extra_missing", hint=INSTALL)


def opened(data: bytes) -> "Image":
    """Return the PNG or JPEG in `data`, not yet decoded; raises InvalidError (`bad_image`)."""
    check_installed()
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - only where pictures come in

    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        raise _bad("this is no PNG and no JPEG") from None
    except Exception as error:
        # decoders raise a dozen unrelated classes for a file they do not like
        raise _bad(f"the picture cannot be read: {str(error)[:120]}") from error
    if image.width * image.height > MOST_PIXELS:
        raise _bad(f"the picture has {image.width} x {image.height} pixels, over {MOST_PIXELS / 1e6:.0f} million")
    return image


def prepared(image: "Image", facts: ModelFacts) -> Any:
    """Return `image` as a flat array of the numbers that a model of `facts` takes.

    Raises InvalidError: `no_picture_model` for a model that takes something else, `bad_image` for a damaged picture.
    """
    import numpy as np  # noqa: PLC0415 - loaded together with the runtime

    layout, (channels, height, width) = takes(facts)
    try:
        small = _shrunk(image, MODES[channels], (width, height), facts.picture.crop)
    except Exception as error:
        # decoders raise a dozen unrelated classes for a file that is damaged further on
        raise _bad(f"the picture is damaged: {str(error)[:120]}") from error
    pixels = np.asarray(small, dtype="float32").reshape(height, width, channels) / 255
    real = (pixels - _each(facts.picture.mean, channels)) / _each(facts.picture.std, channels)
    return (real.transpose(2, 0, 1) if layout == "nchw" else real).reshape(-1)


def takes(facts: ModelFacts) -> tuple[Layout, tuple[int, int, int]]:
    """Return how a model wants a picture laid out, and its channels, height and width.

    Raises InvalidError (`no_picture_model`).
    """
    shape, layout = facts.shape, facts.picture.layout
    if len(shape) == 4 and shape[0] == 1:  # noqa: PLR2004 - one picture of channels, height, width
        if layout in (None, "nchw") and shape[1] in MODES:
            return "nchw", (shape[1], shape[2], shape[3])
        if layout in (None, "nhwc") and shape[3] in MODES:
            return "nhwc", (shape[3], shape[1], shape[2])
    said = f"the running model takes {list(shape)}, which is no picture"
    raise InvalidError(said, code="no_picture_model", hint="send the numbers it takes as JSON, or deploy another model")


def middle(size: tuple[int, int], wanted: tuple[int, int], crop: float) -> tuple[float, float, float, float]:
    """Return the box in the middle of a picture of `size` with the proportions of `wanted`, `crop` of its extent."""
    scale = max(wanted[0] / size[0], wanted[1] / size[1]) / crop
    width, height = min(wanted[0] / scale, size[0]), min(wanted[1] / scale, size[1])
    left, top = (size[0] - width) / 2, (size[1] - height) / 2
    return left, top, left + width, top + height


def _shrunk(image: "Image", mode: str, size: tuple[int, int], crop: float) -> "Image":
    from PIL import Image, ImageOps  # noqa: PLC0415 - only where pictures come in

    image.draft(None, (2 * size[0], 2 * size[1]))
    ImageOps.exif_transpose(image, in_place=True)
    box = middle(image.size, size, crop)
    return image.convert(mode).resize(size, Image.Resampling.BICUBIC, box=box)


def _each(values: tuple[float, ...], channels: int) -> Any:
    """Return one value per channel."""
    import numpy as np  # noqa: PLC0415 - loaded together with the runtime

    if len(values) not in (1, channels):
        said = f"the model's file says {len(values)} means or deviations, and it takes {channels} channels"
        raise InvalidError(said, code="no_picture_model", hint="correct `edgewatt.input` in the file")
    return np.asarray(values, dtype="float32")


def _bad(said: str) -> InvalidError:
    return InvalidError(said, code="bad_image", hint="send a whole PNG or JPEG")
