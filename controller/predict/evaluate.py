"""Says how well a Gaussian process predicts rows it has not seen: errors, conformal quantiles, coverage."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel

from controller.predict.process import Floats, Kernel, Process

LEVEL = 0.95
FOLDS = 10
SEED = 0

Groups = NDArray[np.str_]


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Training rows: features, log of mJ per inference, and the groups that must not be torn apart."""

    x: Floats
    y: Floats
    architecture: Groups
    family: Groups

    def __getitem__(self, chosen: NDArray[np.bool_]) -> "Rows":
        """Return the `chosen` rows."""
        return Rows(
            x=self.x[chosen], y=self.y[chosen], architecture=self.architecture[chosen], family=self.family[chosen]
        )


def fit(rows: Rows) -> Process:
    """Return the process whose kernel makes `rows` likeliest."""
    kernel = (
        ConstantKernel(1.0, (1e-3, 1e4)) * RBF(3.0, (0.3, 100.0))
        + WhiteKernel(1e-3, (1e-5, 1e-1))
        + ConstantKernel(1.0, (1e-3, 1e3)) * DotProduct(1.0, sigma_0_bounds="fixed")
    )
    spread = rows.x.std(0)
    points = (rows.x - rows.x.mean(0)) / np.where(spread > 0, spread, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a part of the kernel at its bound is simply not needed
        found = GaussianProcessRegressor(kernel, normalize_y=True, random_state=SEED).fit(points, rows.y).kernel_
    best = Kernel(
        smooth=float(np.sqrt(found.k1.k1.k1.constant_value)),
        length=float(found.k1.k1.k2.length_scale),
        noise=float(np.sqrt(found.k1.k2.noise_level)),
        linear=float(np.sqrt(found.k2.k1.constant_value)),
    )
    return Process(kernel=best, x=rows.x, y=rows.y)


def folds(architecture: Groups) -> Groups:
    """Return the fold of each row: ten of them, all rows of an architecture in the same one."""
    names = np.unique(architecture)
    numbers = np.random.default_rng(SEED).permutation(len(names)) % FOLDS
    fold_of = dict(zip(names.tolist(), numbers.tolist(), strict=True))
    return np.array([str(fold_of[name]) for name in architecture.tolist()])


def out_of_fold(rows: Rows, groups: Groups, kernel: Kernel | None = None) -> tuple[Floats, Floats]:
    """Return the error (log measured - log predicted) and the spread claimed for each row, predicted without its group.

    The kernel is found anew without each group, unless one is given.
    """
    error, spread = np.zeros(len(rows.y)), np.zeros(len(rows.y))
    for left_out in _each(groups):
        seen = rows[~left_out]
        process = Process(kernel=kernel, x=seen.x, y=seen.y) if kernel else fit(seen)
        mean, spread[left_out] = process.at(rows.x[left_out])
        error[left_out] = rows.y[left_out] - mean
    return error, spread


def conformal(scores: Floats) -> float:
    """Return the finite-sample 95 % quantile of `scores`."""
    rank = int(np.ceil((len(scores) + 1) * LEVEL))
    return float(np.sort(scores)[min(rank, len(scores)) - 1])


def widening(rows: Rows, kernel: Kernel | None = None) -> float:
    """Return by how much the claimed spread is multiplied for a 95 % interval.

    The larger of two conformal quantiles of |error| / spread: architectures left out, and whole families left out. An
    architecture counts once, with its worst row, since its float and integer rows fail together.
    """
    scores = (np.divide(*out_of_fold(rows, groups, kernel)) for groups in (folds(rows.architecture), rows.family))
    return max(conformal(_worst(np.abs(score), rows.architecture)) for score in scores)


def coverage(rows: Rows, groups: Groups) -> tuple[Floats, Floats]:
    """Return, for each row, whether its interval held and how wide it was relative to the prediction.

    Everything, the widening included, is worked out without the row's group.
    """
    held, width = np.zeros(len(rows.y)), np.zeros(len(rows.y))
    for left_out in _each(groups):
        seen = rows[~left_out]
        process = fit(seen)
        mean, spread = process.at(rows.x[left_out])
        half = widening(seen, process.kernel) * spread
        held[left_out] = np.abs(rows.y[left_out] - mean) <= half
        width[left_out] = np.exp(half) - np.exp(-half)
    return held, width


def _worst(scores: Floats, groups: Groups) -> Floats:
    return np.array([scores[chosen].max() for chosen in _each(groups)])


def _each(groups: Groups) -> Iterator[NDArray[np.bool_]]:
    for name in np.unique(groups):
        yield groups == name
