"""A fitted Gaussian process: its mean and spread at new points, in numpy alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """smooth² · exp(-d² / 2 length²) + linear² · (1 + x·x') + noise² on the diagonal, over standardised x and y."""

    smooth: float
    length: float
    linear: float
    noise: float

    def __call__(self, a: Floats, b: Floats) -> Floats:
        """Return the covariance between the rows of `a` and of `b`, without noise."""
        inner = a @ b.T
        squares = (a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * inner
        near = np.exp(squares * (-0.5 / self.length**2))
        covariance: Floats = self.smooth**2 * near + self.linear**2 * (1 + inner)
        return covariance

    def own(self, a: Floats) -> Floats:
        """Return the variance at each row of `a`, noise included."""
        variance: Floats = self.smooth**2 + self.linear**2 * (1 + (a * a).sum(1)) + self.noise**2
        return variance


@dataclass(frozen=True, kw_only=True)
class Process:
    """A kernel on the points it was given: rows `x` and values `y`, both as they came."""

    kernel: Kernel
    x: Floats
    y: Floats

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the process that `document` describes; its inverse."""
        return cls(kernel=Kernel(**document["kernel"]), x=np.array(document["x"]), y=np.array(document["y"]))

    @property
    def document(self) -> dict[str, Any]:
        """Everything needed to build it again, as plain numbers."""
        return {"kernel": vars(self.kernel), "x": self.x.round(9).tolist(), "y": self.y.round(9).tolist()}

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
        """Return mean and standard deviation at each row of `x`, in the unit of y."""
        points, weights, inverse = self.solved
        new = (x - self.scale[0]) / self.scale[1]
        cross = self.kernel(new, points)
        variance = self.kernel.own(new) - ((cross @ inverse) * cross).sum(1)
        spread = self.y.std()
        return cross @ weights * spread + self.y.mean(), np.sqrt(np.maximum(variance, 1e-12)) * spread
