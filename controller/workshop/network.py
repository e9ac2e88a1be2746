"""What the workshop knows of a network to convert, whatever it came from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

INPUT, OUTPUT = "image", "output"


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What is known of a network beside its weights.

    It takes `shape`, for images (1, channels, height, width), where a pixel of 0 … 255 becomes pixel x `scale` +
    `offset`. `labels` are empty where nobody named them; `samples` are inputs by name that it brought itself.
    `picture` is how a device prepares a picture for it, as JSON; None where only the usual 0 … 1 is known.
    """

    shape: tuple[int, ...]
    scale: float
    offset: float
    trained: bool
    source: str
    labels: tuple[str, ...] = ()
    samples: tuple[tuple[str, Pixels], ...] = ()
    truths: tuple[str | None, ...] = ()
    top1_pct: float | None = None
    licence: str | None = None
    picture: str | None = None

    def prepared(self, pixels: Pixels) -> Floats:
        """Return `pixels` as the network takes them."""
        return pixels.astype(np.float32) * np.float32(self.scale) + np.float32(self.offset)

    @property
    def image(self) -> tuple[int, int, int] | None:
        """Channels, height and width, or None for what takes no image."""
        return (self.shape[1], self.shape[2], self.shape[3]) if len(self.shape) == 4 else None  # noqa: PLR2004  # NCHW


class Network(Protocol):
    """A network that can be asked, and written as a file to be converted further."""

    @property
    def card(self) -> Card:
        """What is known of it."""
        ...

    @property
    def tools(self) -> dict[str, str]:
        """The versions of what made it."""
        ...

    @property
    def spoken_of(self) -> str:
        """What a converted file is compared with, in words."""
        ...

    def answer(self, image: Floats) -> Floats:
        """Return its answer to one `image` of `card.shape`, flat."""
        ...

    def write_onnx(self, path: Path) -> dict[str, str]:
        """Write it as ONNX in fp32, return the tools that did it; raises ArtifactError (`unsupported_operator`)."""
        ...

    def module(self) -> Any:
        """Return it as a torch module that takes `image`; raises ArtifactError (`unsupported_operator`)."""
        ...
