"""Imports timm beside a build of torch for CPUs, where torchvision misses two operators and refuses to load."""

from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from torch import library

ABSENT = ("nms", "qnms")
"""The operators whose declarations torchvision looks for."""


@cache
def load_timm() -> ModuleType:
    """Return timm, imported after torchvision was made to load. Raises ImportError where the extra is missing."""
    try:
        import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for name in ABSENT:
            _operators().define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return import_module("timm")


@cache
def _operators() -> Any:
    """Return the library that holds the declarations; they last as long as it is referenced."""
    return library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]  # torch types it not
