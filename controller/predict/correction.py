"""What a few runs on a board say against a prior from other boards: kept as numbers, applied to predictions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np

from controller.predict.features import Features
from controller.predict.prediction import MEASURE, Prediction
from controller.predict.transfer import Transfer, points

Z_95 = 1.96


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


def spoken(
    before: Prediction, features: Features, correction: Correction, *, by: str, advice: str, reasons: Sequence[str] = ()
) -> Prediction:
    """Return `before` as `corrected` gives it, under its own name and `by`, with `advice` where it was to measure."""
    after = corrected(before, features, correction)
    if after is before:
        return before
    surer = after.support != "low" and MEASURE in after.recommendation
    return replace(
        after,
        predictor=f"{before.predictor}+{by}",
        reasons=(*after.reasons, *reasons),
        recommendation=advice if surer else after.recommendation,
    )


def _at(correction: Correction, features: Features) -> tuple[float, float]:
    """Return mean and standard deviation of the logarithm of the correction for `features`, measurement included."""
    learned = np.array(correction.weights), np.array(correction.inverse)
    mean, spread = correction.transfer.told(points([features]), np.array(correction.points), learned)
    return float(mean[0]), float(spread[0])
