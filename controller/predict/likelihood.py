"""Finds the kernel that makes all measured sets likeliest at once: one shape of cost, learned from every board."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize  # type: ignore[import-untyped]  # comes with scikit-learn, without stubs
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # as above

from controller.predict.process import Floats, Kernel

TYPICAL_LENGTH = 4.0
"""What a length is before the rows speak, in standard deviations of its feature."""

START = (0.0, -1.0, -3.0)
BOUNDS = ((-4.0, 4.0), (-5.0, 3.0), (-5.5, -1.0))
LENGTHS = (float(np.log(0.3)), float(np.log(100.0)))
ROUNDS = 60
IMPOSSIBLE = 1e10


def likeliest(x: Floats, y: Floats) -> Kernel:
    """Return the kernel under which the columns of `y` (one a set) over the networks `x` are likeliest.

    Each length is held near TYPICAL_LENGTH by a log-normal prior of width one, so that a column nobody needs
    cannot run away. Same rows, same kernel: one thread adds up in one order.
    """
    points, values = standard(x), standard(y)
    start = np.array([*START, *[np.log(TYPICAL_LENGTH)] * x.shape[1]])
    bounds = [*BOUNDS, *[LENGTHS] * x.shape[1]]
    with threadpool_limits(1):
        found = minimize(_surprise, start, (points, values), "L-BFGS-B", bounds=bounds, options={"maxiter": ROUNDS})
    return _kernel(found.x)


def standard(columns: Floats) -> Floats:
    """Return `columns` with mean 0 and spread 1; a constant one keeps its unit."""
    spread = columns.std(0)
    scaled: Floats = (columns - columns.mean(0)) / np.where(spread > 0, spread, 1.0)
    return scaled


def _surprise(logs: NDArray[np.float64], points: Floats, values: Floats) -> float:
    """Return the mean negative log likelihood of a set, and that of the prior on the lengths."""
    kernel = _kernel(logs)
    try:
        root = np.linalg.cholesky(kernel(points, points) + kernel.noise**2 * np.eye(len(points)))
    except np.linalg.LinAlgError:
        return IMPOSSIBLE
    whitened = np.linalg.solve(root, values)
    fit = 0.5 * (whitened**2).sum() / values.shape[1] + np.log(np.diag(root)).sum()
    return float(fit + 0.5 * ((logs[len(START) :] - np.log(TYPICAL_LENGTH)) ** 2).sum())


def _kernel(logs: NDArray[np.float64]) -> Kernel:
    smooth, linear, noise, *lengths = np.exp(logs).tolist()
    return Kernel(smooth=smooth, linear=linear, noise=noise, lengths=tuple(lengths))
