"""A fitted Gaussian process: its mean and spread at new points, in numpy alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


TOGETHER = 128
"""Rows worked out together: their covariances with some hundred points stay in the cache."""


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """smooth² · Matérn 5/2 of the scaled distance + linear² · (1 + x·x') + noise², over standardised x and y.

    `lengths` scale the distance, one for each column of x.
    """

    smooth: float
    linear: float
    noise: float
    lengths: tuple[float, ...]

    def __call__(self, a: Floats, b: Floats) -> Floats:
        """Return the covariance between the rows of `a` and of `b`, without noise."""
        near, far = a / self.lengths, b / self.lengths
        reach: Floats = near @ (-10.0 * far.T)  # from here on in place: a thousand rows are as quick as memory is
        reach += 5.0 * (near * near).sum(1)[:, None]
        reach += 5.0 * (far * far).sum(1)
        np.sqrt(np.maximum(reach, 0.0, out=reach), out=reach)
        covariance: Floats = np.exp(-reach)
        reach *= 1 + reach / 3
        reach += 1
        covariance *= reach
        covariance *= self.smooth**2
        covariance += self.linear**2 * (1 + a @ b.T)
        return covariance

    def own(self, a: Floats) -> Floats:
        """Return the variance at each row of `a`, without noise."""
        variance: Floats = self.smooth**2 + self.linear**2 * (1 + (a * a).sum(1))
        return variance


@dataclass(frozen=True, kw_only=True)
class Process:
    """A kernel on the points it was given: rows `x` and values `y`, both as they came.

    `distrust` is the share of the doubt away from the points that is claimed: how far a network is unlike the measured
    ones tells more on one board than on another.
    """

    kernel: Kernel
    x: Floats
    y: Floats
    distrust: float = 1.0

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the process that `document` describes; its inverse."""
        kernel = document["kernel"]
        named = Kernel(**{**kernel, "lengths": tuple(kernel["lengths"])})
        return cls(
            kernel=named,
            x=np.array(document["x"]),
            y=np.array(document["y"]),
            distrust=document.get("distrust", 1.0),
        )

    @property
    def document(self) -> dict[str, Any]:
        """Everything needed to build it again, as plain numbers."""
        return {
            "kernel": vars(self.kernel),
            "x": self.x.round(9).tolist(),
            "y": self.y.round(9).tolist(),
            "distrust": self.distrust,
        }

    @cached_property
    def scale(self) -> tuple[Floats, Floats]:
        """Mean and spread of each column of x; a constant column keeps its unit."""
        spread = self.x.std(0)
        return self.x.mean(0), np.where(spread > 0, spread, 1.0)

    @cached_property
    def solved(self) -> tuple[Floats, Floats, Floats]:
        """Standardised points, weights for the mean, and the inverse covariance for the spread."""
        points = (self.x - self.scale[0]) / self.scale[1]
        covariance = self.kernel(points, points) + self.kernel.noise**2 * np.eye(len(points))
        inverse = np.asarray(np.linalg.inv(covariance), np.float64)
        weights = np.asarray(inverse @ ((self.y - self.y.mean()) / self.y.std()), np.float64)
        return points, weights, inverse

    def at(self, x: Floats) -> tuple[Floats, Floats]:
        """Return mean and claimed standard deviation at each row of `x`, in the unit of y."""
        mean, noise, doubt = self.doubted(x)
        return mean, np.hypot(noise, self.distrust * doubt)

    def doubted(self, x: Floats) -> tuple[Floats, float, Floats]:
        """Return the mean at each row of `x`, the noise of a measurement, and the doubt away from the points."""
        parts = [self._at(x[start : start + TOGETHER]) for start in range(0, len(x), TOGETHER)]
        means, doubts = zip(*parts, strict=True)
        return np.concatenate(means), float(self.kernel.noise * self.y.std()), np.concatenate(doubts)

    def nearest(self, x: Floats, count: int) -> NDArray[np.int_]:
        """Return, for each row of `x`, which `count` points the kernel holds nearest, the nearest first."""
        new, points = ((rows - self.scale[0]) / self.scale[1] / self.kernel.lengths for rows in (x, self.x))
        squares = (points * points).sum(1)[None] - 2 * new @ points.T
        few = np.argpartition(squares, count, axis=1)[:, :count]
        order = np.argsort(np.take_along_axis(squares, few, axis=1), axis=1)
        return np.take_along_axis(few, order, axis=1)

    def _at(self, x: Floats) -> tuple[Floats, Floats]:
        points, weights, inverse = self.solved
        new = (x - self.scale[0]) / self.scale[1]
        cross = self.kernel(new, points)
        unsure = np.maximum(self.kernel.own(new) - ((cross @ inverse) * cross).sum(1), 0.0)
        spread = self.y.std()
        return cross @ weights * spread + self.y.mean(), np.sqrt(unsure) * spread
