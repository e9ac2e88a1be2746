"""Corrects a prior from other boards by a few runs measured on a new one, and chooses which runs tell most.

The correction is a Gaussian process on log (measured / prior): a bias, slopes and a smooth rest. What ten runs cannot
tell stays in the interval.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol, Self

import numpy as np

from broker.errors import InvalidError
from controller.predict.boards import UNIFIED, route
from controller.predict.features import Features
from controller.predict.prediction import Prediction
from controller.predict.predictor import FleetPredictor
from controller.predict.transfer import Floats, Transfer, points

Z_95 = 1.96
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What `n` runs told about a board, against the predictor named `predictor` asked for `prior_type`.

    The logarithm of (cost here / prior) at a model is k · `weights` with variance k0 - k · `inverse` · k, k being the
    covariances between the model and the measured `points`; `bias` is its mean over the runs, `spread` what is left.
    """

    predictor: str
    device_type: str
    prior_type: str
    n: int
    made_at: str
    bias: float
    spread: float
    transfer: Transfer
    points: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]
    inverse: tuple[tuple[float, ...], ...]

    @property
    def document(self) -> dict[str, Any]:
        """Everything in it, as JSON takes it."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the correction that `document` describes."""
        nested = {key: tuple(map(tuple, document[key])) for key in ("points", "inverse")}
        transfer = Transfer.from_document(document["transfer"])
        return cls(**{**document, **nested, "transfer": transfer, "weights": tuple(document["weights"])})


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


def corrected(prediction: Prediction, features: Features, correction: Correction) -> Prediction:
    """Return `prediction`, made by `correction.prior_type`, as the runs on the board correct it.

    A prediction without a figure, or from a latency measured on the device, is returned as it is; so is one of another
    predictor than the correction was made against, with that as a reason.
    """
    if prediction.energy_mj is None or prediction.basis == "latency":
        return prediction
    if prediction.predictor != correction.predictor:
        stale = f"calibrated against {correction.predictor}, which no longer answers: calibrate again"
        return replace(prediction, reasons=(stale, *prediction.reasons))
    mean, spread = _at(correction, features)
    half = Z_95 * spread
    energy_mj = prediction.energy_mj * math.exp(mean)
    measured = f"calibrated: {correction.n} models measured on this board, prior from {correction.predictor}"
    return replace(
        prediction,
        energy_mj=energy_mj,
        low_mj=energy_mj * math.exp(-half),
        high_mj=energy_mj * math.exp(half),
        support="low" if prediction.far else "high",
        reasons=(measured, *prediction.reasons) if prediction.far else (measured,),
        mape_pct=None,
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


def _at(correction: Correction, features: Features) -> tuple[float, float]:
    """Return mean and standard deviation of the logarithm of the correction for `features`, measurement included."""
    learned = np.array(correction.weights), np.array(correction.inverse)
    mean, spread = correction.transfer.told(points([features]), np.array(correction.points), learned)
    return float(mean[0]), float(spread[0])


def _bare(features: Features) -> Features:
    """Return `features` without a latency: a prior speaks of the architecture alone."""
    return replace(features, latency_avg_s=None, throughput_iter_per_s=None)


def _nested(array: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in array.tolist())
