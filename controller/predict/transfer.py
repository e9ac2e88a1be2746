"""How one board's energies differ from another's, as a covariance of log ratios between networks.

A bias, a slope in each feature and a smooth rest; their sizes are those found between the measured boards.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from controller.predict.features import Features

Floats = NDArray[np.float64]

CENTRE = (math.log(0.3), math.log(30.0), 0.5, math.log(5.0))
"""A typical measured network: GMACs, MACs per activation, quantized or not, parameters in millions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Standard deviations of the log ratio between boards: a bias, a slope in each feature, a smooth rest, noise."""

    bias: float = 0.6
    slopes: tuple[float, ...] = (0.1, 0.1, 0.3, 0.05)
    smooth: float = 0.12
    length: float = 1.0
    noise: float = 0.05

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return what `document` describes."""
        return cls(**{**document, "slopes": tuple(document["slopes"])})

    def __call__(self, a: Floats, b: Floats) -> Floats:
        """Return the covariance of the log ratio between the rows of `a` and of `b`, without noise."""
        squares = ((a[:, None] - b[None]) ** 2).sum(-1)
        linear = (a * np.square(self.slopes)) @ b.T
        result: Floats = self.bias**2 + linear + self.smooth**2 * np.exp(-0.5 * squares / self.length**2)
        return result

    def learn(self, at: Floats, ratio: Floats) -> tuple[Floats, Floats]:
        """Return weights and inverse covariance, once the log `ratio` was measured at the rows of `at`."""
        inverse = np.asarray(np.linalg.inv(self(at, at) + self.noise**2 * np.eye(len(at))), np.float64)
        return inverse @ ratio, inverse

    def told(self, new: Floats, at: Floats, learned: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of the log ratio at `new`, noise included, after `learn(at, …)`."""
        weights, inverse = learned
        cross = self(new, at)
        before = np.array([self(row[None], row[None])[0, 0] for row in new])
        variance = before + self.noise**2 - ((cross @ inverse) * cross).sum(1)
        return cross @ weights, np.sqrt(np.maximum(variance, 0.0))

    def choose(self, candidates: Floats, wanted: Floats, k: int) -> list[int]:
        """Return which `k` of `candidates` leave least summed variance at `wanted`, the most telling first.

        Each next one is that which, measured after those before it, lowers it most; none is taken twice.
        """
        at = np.vstack([candidates, wanted])
        joint = self(at, at)
        left = list(range(len(candidates)))
        chosen: list[int] = []
        while left and len(chosen) < k:
            gain = (joint[left, len(candidates) :] ** 2).sum(1) / (joint[left, left] + self.noise**2)
            best = left.pop(int(np.argmax(gain)))
            joint = joint - np.outer(joint[best], joint[best]) / (joint[best, best] + self.noise**2)
            chosen.append(best)
        return chosen


def points(models: Sequence[Features]) -> Floats:
    """Return one row of centred features for each of `models`; what is unknown counts as typical."""
    return np.array([_point(model) for model in models], np.float64).reshape(len(models), len(CENTRE))


def _point(model: Features) -> tuple[float, ...]:
    per_activation = math.log(model.gmacs * 1e3 / model.macts_m) if model.macts_m else CENTRE[1]
    known = (math.log(model.gmacs), per_activation, float(model.quantized), math.log(model.params_m))
    return tuple(value - centre for value, centre in zip(known, CENTRE, strict=True))
