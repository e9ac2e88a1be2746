"""Figures of merit in percent: of one set, and their mean over several."""

from collections.abc import Mapping, Sequence

import numpy as np

from controller.predict.evaluate import Held
from controller.predict.process import Floats

CLOSE_PERCENT = 10.0
Scores = dict[str, float]


def scores(held: Held, column: int) -> Scores:
    """Return error, coverage and mean width of one set; widths relative to the prediction."""
    error, half = held.error[:, column], held.half[:, column]
    ape = ape_percent(error)
    measured = held.said[:, column] + error
    return {
        "mape_percent": float(ape.mean()),
        "median_ape_percent": float(np.median(ape)),
        "within_10_percent": float((ape <= CLOSE_PERCENT).mean() * 100),
        "r2": float(1 - (error**2).sum() / ((measured - measured.mean()) ** 2).sum()),
        "coverage_percent": float((np.abs(error) <= half).mean() * 100),
        "width_percent": float((np.exp(half) - np.exp(-half)).mean() * 100),
    }


def ape_percent(error: Floats) -> Floats:
    """Return the absolute error relative to what was measured, from error = log measured - log said."""
    return np.abs(np.expm1(-error)) * 100


def mean(several: Sequence[Mapping[str, float]], names: Sequence[str]) -> Scores:
    """Return the mean of each of `names` over `several` sets."""
    return {name: float(np.mean([each[name] for each in several])) for name in names}


def rounded(figures: Mapping[str, float], digits: int = 2) -> Scores:
    """Return `figures` as they are printed."""
    return {name: round(value, digits) for name, value in figures.items()}
