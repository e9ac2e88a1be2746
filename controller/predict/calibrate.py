"""Corrects a prior from other boards by a few runs measured on a new one, and chooses which runs tell most.

The correction is a Gaussian process on log (measured / prior): a bias, slopes and a smooth rest. What ten runs cannot
tell stays in the interval.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

import numpy as np

from broker.errors import InvalidError
from controller.predict.boards import UNIFIED, route
from controller.predict.correction import Correction
from controller.predict.features import Features
from controller.predict.predictor import FleetPredictor
from controller.predict.transfer import Floats, points

CHOSEN = 10


@dataclass(frozen=True, slots=True)
class Run:
    """One model measured on the board: mJ per inference."""

    features: Features
    energy_mj: float

    def __post_init__(self) -> None:
        """Refuse an energy that is none."""
        if not (math.isfinite(self.energy_mj) and self.energy_mj > 0):
            raise InvalidError(f"energy_mj {self.energy_mj} is not a positive number", field="energy_mj")


class Named(Protocol):
    """What a candidate for a run has: a catalogue's model does."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def features(self) -> Features:
        """What a predictor is told about it."""
        ...


def prior_type(device_type: str) -> str:
    """Return whom to ask before calibration: the type itself where anything stands in for it, else all boards."""
    return device_type if route(device_type).board else UNIFIED.device_type


def calibrate(prior: FleetPredictor, device_type: str, runs: Sequence[Run]) -> Correction:
    """Return what `runs`, measured on a board of `device_type`, say about it; InvalidError without any."""
    if not runs:
        raise InvalidError("no run to calibrate with", hint="measure at least one model on the device", field="runs")
    asked = prior_type(device_type)
    said = prior.predict_many([_bare(run.features) for run in runs], asked)
    ratio = np.array([math.log(run.energy_mj / (p.energy_mj or 1.0)) for run, p in zip(runs, said, strict=True)])
    at = points([run.features for run in runs])
    transfer = prior.transfer(device_type)
    weights, inverse = transfer.learn(at, ratio)
    left = ratio - transfer(at, at) @ weights
    return Correction(
        predictor=said[0].predictor,
        device_type=device_type,
        prior_type=asked,
        n=len(runs),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        bias=float(ratio.mean()),
        spread=float(np.sqrt((left**2).mean())),
        transfer=transfer,
        points=_nested(at),
        weights=tuple(weights.tolist()),
        inverse=_nested(inverse),
    )


def choose_runs(
    candidates: Sequence[Named], wanted: Sequence[Features], prior: FleetPredictor, device_type: str, k: int = CHOSEN
) -> list[str]:
    """Return the names of the `k` candidates whose runs leave least doubt about the `wanted` models, best first.

    Each next one is that which, measured after those before it, lowers the summed variance at `wanted` most.
    """
    if not candidates or not wanted:
        return [candidate.name for candidate in candidates[:k]]
    at = points([candidate.features for candidate in candidates])
    chosen = prior.transfer(device_type).choose(at, points(wanted), k)
    return [candidates[i].name for i in chosen]


def _bare(features: Features) -> Features:
    """Return `features` without a latency: a prior speaks of the architecture alone."""
    return replace(features, latency_avg_s=None, throughput_iter_per_s=None)


def _nested(array: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in array.tolist())
