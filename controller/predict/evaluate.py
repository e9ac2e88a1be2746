"""Says how well a way of predicting does on networks it has not seen: errors, intervals, coverage."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.predict.likelihood import likeliest
from controller.predict.process import Floats, Kernel, Process
from controller.predict.rows import Groups, Rows

LEVEL = 0.95
FOLDS = 10
SEED = 0

Fit = Callable[[Rows], Callable[[Rows], tuple[Floats, Floats]]]
"""From rows to a function that answers other rows: log mJ and half-widths of the interval, one column a set."""


@dataclass(frozen=True, kw_only=True)
class Held:
    """What was said about rows that were held out: error = log measured - log said, half = half-width, in logs."""

    said: Floats
    error: Floats
    half: Floats


def folds(architecture: Groups, seed: int = SEED) -> Groups:
    """Return the fold of each row: ten of them, all rows of an architecture in the same one."""
    names = np.unique(architecture)
    numbers = np.random.default_rng(seed).permutation(len(names)) % FOLDS
    fold_of = dict(zip(names.tolist(), numbers.tolist(), strict=True))
    return np.array([str(fold_of[name]) for name in architecture.tolist()])


def held_out(rows: Rows, groups: Groups, fit: Fit) -> Held:
    """Return what `fit` says about each row when all of its group, the intervals included, was never seen."""
    said, half = np.zeros_like(rows.y), np.zeros_like(rows.y)
    for left_out in each(groups):
        said[left_out], half[left_out] = fit(rows[~left_out])(rows[left_out])
    return Held(said=said, error=rows.y - said, half=half)


def gaussian(rows: Rows, *, by_family: bool = False, seed: int = SEED) -> Callable[[Rows], tuple[Floats, Floats]]:
    """Fit the champion: one kernel for all sets, a process for each, intervals by out-of-fold residuals."""
    kernel = likeliest(rows.x, rows.y)
    processes = [Process(kernel=kernel, x=rows.x, y=y) for y in rows.y.T]
    widenings = widening(rows, kernel, by_family=by_family, seed=seed)

    def answer(other: Rows) -> tuple[Floats, Floats]:
        means, spreads = zip(*(process.at(other.x) for process in processes), strict=True)
        return np.column_stack(means), np.column_stack(spreads) * widenings

    return answer


def widening(rows: Rows, kernel: Kernel, *, by_family: bool = False, seed: int = SEED) -> Floats:
    """Return, for each set, by how much the claimed spread is multiplied for a 95 % interval.

    The conformal quantile of |error| / spread over architectures left out (CV+), the kernel kept; with `by_family` no
    less than that over families left out, for features that do not make a process unsure of a new family.
    """
    independent = len(np.unique(rows.architecture))
    ways = [folds(rows.architecture, seed + 1), *([rows.family] if by_family else [])]
    quantiles = [conformal(_scores(rows, kernel, groups), independent) for groups in ways]
    return np.asarray(np.max(quantiles, axis=0), np.float64)


def conformal(scores: Floats, independent: int | None = None) -> Floats:
    """Return the 95 % quantile of each column of `scores`, raised for a sample of `independent` (default: all) ones.

    The float and integer rows of an architecture fail together, so architectures are counted, not rows.
    """
    level = min(LEVEL * (1 + 1 / (independent or len(scores))), 1.0)
    return np.asarray(np.quantile(scores, level, axis=0), np.float64)


def each(groups: Groups) -> Iterator[NDArray[np.bool_]]:
    """Yield which rows belong to each of `groups`, in alphabetical order."""
    for name in np.unique(groups):
        yield groups == name


def _scores(rows: Rows, kernel: Kernel, groups: Groups) -> Floats:
    """Return |error| / spread of every row, predicted without its group."""
    score = np.zeros_like(rows.y)
    for left_out in each(groups):
        seen = rows[~left_out]
        for column, y in enumerate(seen.y.T):
            mean, spread = Process(kernel=kernel, x=seen.x, y=y).at(rows.x[left_out])
            score[left_out, column] = np.abs(rows.y[left_out, column] - mean) / spread
    return score
