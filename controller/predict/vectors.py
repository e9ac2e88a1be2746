"""Turns features into the numbers that the predictors reason with."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from controller.predict.features import Features

Floats = NDArray[np.float64]
Kind = Literal["full", "basic"]

NAMES: dict[Kind, tuple[str, ...]] = {
    "full": (
        "log gmacs",
        "log params",
        "log activations",
        "log weight bytes",
        "log depthwise gmacs",
        "log convolutions",
        "log macs per activation",
        "depthwise share",
        "quantized",
        "log input side",
        "log dense gmacs",
        "log macs per parameter",
        "log activations per convolution",
        "log macs per convolution",
    ),
    "basic": ("log gmacs", "log params", "log weight bytes", "quantized"),
}
"""`full` needs what a model file tells; `basic` makes do with parameters and multiply-adds."""

LEAST_GMACS = 1e-6
"""The dense work of a network that is all depthwise; keeps logarithms finite."""


def kind_of(features: Features) -> Kind:
    """Return which set of numbers can be filled for `features`; nothing is guessed."""
    known = features.macts_m and features.dw_gmacs and features.n_convs and features.input_res
    return "full" if known else "basic"


def matrix(kind: Kind, models: Sequence[Features]) -> Floats:
    """Return one row of `NAMES[kind]` for each of `models`, all of which `kind_of` allows."""
    return np.array([_full(m) if kind == "full" else _basic(m) for m in models], np.float64).reshape(len(models), -1)


def work(features: Features) -> tuple[float, ...]:
    """Return the terms of the additive cost: once, dense GMACs, depthwise GMACs, activations and parameters (millions).

    Activations that nobody counted are taken as none.
    """
    depthwise = features.dw_gmacs or 0.0
    return 1.0, features.gmacs - depthwise, depthwise, features.macts_m or 0.0, features.params_m


def _weight_bytes(features: Features) -> float:
    """Return 10^6 bytes of weights as they are computed with; files may be smaller."""
    return features.params_m * (1 if features.quantized else 4)


def _basic(m: Features) -> tuple[float, ...]:
    return math.log(m.gmacs), math.log(m.params_m), math.log(_weight_bytes(m)), float(m.quantized)


def _full(m: Features) -> tuple[float, ...]:
    assert m.macts_m is not None
    assert m.dw_gmacs is not None
    assert m.n_convs is not None
    assert m.input_res is not None
    return (
        math.log(m.gmacs),
        math.log(m.params_m),
        math.log(m.macts_m),
        math.log(_weight_bytes(m)),
        math.log(m.dw_gmacs),
        math.log(m.n_convs),
        math.log(m.gmacs / m.macts_m),
        m.dw_gmacs / m.gmacs,
        float(m.quantized),
        math.log(m.input_res),
        math.log(max(m.gmacs - m.dw_gmacs, LEAST_GMACS)),
        math.log(m.gmacs / m.params_m),
        math.log(m.macts_m / m.n_convs),
        math.log(m.gmacs / m.n_convs),
    )
