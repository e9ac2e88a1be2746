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
    if kind == "full":
        return _full(models)
    return np.array([_basic(m) for m in models], np.float64).reshape(len(models), -1)


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


def _full(models: Sequence[Features]) -> Floats:
    raw = np.array(
        [(m.gmacs, m.params_m, m.macts_m, m.dw_gmacs, m.n_convs, m.input_res, m.quantized) for m in models], np.float64
    ).reshape(len(models), -1)
    gmacs, params, _, depthwise, _, _, quantized = raw.T
    log_gmacs, log_params, log_activations, log_depthwise, log_convolutions, log_side = np.log(raw[:, :6]).T
    return np.column_stack(
        [
            log_gmacs,
            log_params,
            log_activations,
            np.log(params * np.where(quantized, 1, 4)),
            log_depthwise,
            log_convolutions,
            log_gmacs - log_activations,
            depthwise / gmacs,
            quantized,
            log_side,
            np.log(np.maximum(gmacs - depthwise, LEAST_GMACS)),
            log_gmacs - log_params,
            log_activations - log_convolutions,
            log_gmacs - log_convolutions,
        ]
    )
