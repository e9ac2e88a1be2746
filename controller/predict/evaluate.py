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

SHARES = np.linspace(0.1, 1.2, 23)
"""Of the doubt that a process claims away from its points: what is tried."""

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


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """What makes the claimed spread of each set a 95 % interval: the share of doubt that counts, and a factor."""

    distrust: Floats
    widening: Floats


def gaussian(rows: Rows, *, seed: int = SEED) -> Callable[[Rows], tuple[Floats, Floats]]:
    """Fit the champion: one kernel for all sets, a process for each, intervals by out-of-fold residuals."""
    kernel = likeliest(rows.x, rows.y)
    found = calibrated(rows, kernel, seed=seed)
    processes = [
        Process(kernel=kernel, x=rows.x, y=y, distrust=share)
        for y, share in zip(rows.y.T, found.distrust.tolist(), strict=True)
    ]

    def answer(other: Rows) -> tuple[Floats, Floats]:
        means, spreads = zip(*(process.at(other.x) for process in processes), strict=True)
        return np.column_stack(means), np.column_stack(spreads) * found.widening

    return answer


def calibrated(rows: Rows, kernel: Kernel, *, seed: int = SEED) -> Calibrated:
    """Return what the out-of-fold errors (CV+, the kernel kept) make of the spread of each set.

    Of two conformal quantiles of |error| / spread, one over architectures left out and one over families left out,
    the share of doubt is that for which they differ least, so that one factor holds near the measured networks and far
    from them; the factor is the larger of the two there. When a family is away, the float and integer rows of an
    architecture fail together, so architectures are counted then, not rows.
    """
    near = _left_out(rows, kernel, folds(rows.architecture, seed + 1))
    far = _left_out(rows, kernel, rows.family)
    architectures = len(np.unique(rows.architecture))
    pairs = np.array([(conformal(near.scores(s)), conformal(far.scores(s), architectures)) for s in SHARES])
    apart = np.abs(np.log(pairs[:, 0] / pairs[:, 1]))
    best = apart.argmin(0)
    widest = pairs.max(1)
    return Calibrated(distrust=SHARES[best], widening=widest[best, np.arange(len(best))])


def conformal(scores: Floats, independent: int | None = None) -> Floats:
    """Return the 95 % quantile of each column of `scores`, raised for a sample of `independent` (default: all) ones."""
    level = min(LEVEL * (1 + 1 / (independent or len(scores))), 1.0)
    return np.asarray(np.quantile(scores, level, axis=0), np.float64)


def each(groups: Groups) -> Iterator[NDArray[np.bool_]]:
    """Yield which rows belong to each of `groups`, in alphabetical order."""
    for name in np.unique(groups):
        yield groups == name


@dataclass(frozen=True, kw_only=True)
class _LeftOut:
    """Errors of rows predicted without their group, and what was claimed there; one column a set."""

    error: Floats
    noise: Floats
    doubt: Floats

    def scores(self, distrust: float) -> Floats:
        """Return |error| over the spread that is claimed with that share of the doubt."""
        return np.abs(self.error) / np.hypot(self.noise, distrust * self.doubt)


def _left_out(rows: Rows, kernel: Kernel, groups: Groups) -> _LeftOut:
    error, noise, doubt = np.zeros((3, *rows.y.shape))
    for left_out in each(groups):
        seen = rows[~left_out]
        for column, y in enumerate(seen.y.T):
            mean, of_one, away = Process(kernel=kernel, x=seen.x, y=y).doubted(rows.x[left_out])
            error[left_out, column] = rows.y[left_out, column] - mean
            noise[left_out, column], doubt[left_out, column] = of_one, away
    return _LeftOut(error=error, noise=noise, doubt=doubt)
