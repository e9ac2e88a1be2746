"""What a worker is asked to make, as its request file says it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from broker.errors import InvalidError
from controller.models.manifest import Format, Variant
from controller.models.naming import NAME, variant_name

FORM = '{"model": …, "source": {"kind": …}, "format": …, "variant": …, "calibration": …, "out": …}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the network comes from: a name that timm or a package knows, or a file on this machine.

    `pretrained` says whether timm's published weights are wanted; `architecture` is what weights in a file belong to.
    """

    kind: Literal["timm", "package", "safetensors", "onnx"]
    name: str = ""
    pretrained: bool = True
    path: str = ""
    architecture: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One file to make in the folder `out`; `calibration` is a folder of images, None for the workshop's own."""

    model: str
    source: Source
    out: str
    format: Format = "onnx"
    variant: Variant = "fp32"
    calibration: str | None = None

    def __post_init__(self) -> None:
        """Refuse a name that cannot be one."""
        if not NAME.fullmatch(self.model):
            raise InvalidError(f"{self.model!r} cannot be a model's name", hint="letters, digits, . _ -")

    @property
    def name(self) -> str:
        """What the file is called: the model with its variant, which `model` may have said already."""
        suffix = variant_name("", self.variant)
        return self.model if self.model.endswith(suffix) else self.model + suffix


def read_request(path: Path) -> Request:
    """Return the request in the file at `path`; raises InvalidError with what is wrong with it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Request)
    except OSError as error:
        raise InvalidError(f"cannot read the request {path}: {error.strerror}", hint=FORM) from None
    except msgspec.MsgspecError as error:
        raise InvalidError(f"{path} is no request: {error}", hint=FORM) from None
