"""Names of models and of their variants: `resnet18` is in fp32, `resnet18-int8` the same network in integers."""

import re
from typing import get_args

from controller.models.manifest import Variant

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

_SUFFIXES = {f"-{variant}": variant for variant in get_args(Variant) if variant != "fp32"}


def variant_name(base: str, variant: Variant) -> str:
    """Return what the `variant` of the model `base` is called; the inverse of `split`."""
    return base if variant == "fp32" else f"{base}-{variant}"


def split(name: str) -> tuple[str, Variant]:
    """Return the network and the variant that `name` means."""
    for suffix, variant in _SUFFIXES.items():
        if name.endswith(suffix) and name != suffix:
            return name.removesuffix(suffix), variant
    return name, "fp32"
