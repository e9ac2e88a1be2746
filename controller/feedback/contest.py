"""Whether a new correction of a device is better than what it has: judged on runs that it was not fitted to."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from controller.predict.calibrate import Run, calibrate, prior_type
from controller.predict.correction import Correction, spoken
from controller.predict.features import Features
from controller.predict.prediction import Prediction
from controller.predict.predictor import FleetPredictor

FEWEST = 5
"""Runs below which a challenger is not heard: leaving one of four out judges it on chance."""

MARGIN = 0.9
"""A challenger has to bring the error below this share of the champion's, or two equals would take turns."""

MOST_DOUBT = 100.0
"""A prior whose interval spans more than this factor knows nothing of a model, and a run of it nothing of the board.

All five measured boards together span a factor of 25 on an ordinary network; one alone spans 3,600 on a perceptron.
"""


CALIBRATED = "calibrated on this device; its interval says how far the figure can be relied on"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDevice:
    """A predictor for one device: the fleet's, corrected by what was measured there; says so in every answer."""

    prior: FleetPredictor
    correction: Correction
    device_id: str
    simulated: bool = False

    def predict(self, features: Features, device_type: str) -> Prediction:
        """Return what `features` costs on the device."""
        return self.predict_many([features], device_type)[0]

    def predict_many(self, models: Sequence[Features], device_type: str) -> list[Prediction]:
        """Return a prediction for each of `models`, in order; `device_type` is the device's own."""
        del device_type  # the correction knows whom it corrects
        how = ("the runs were simulated, as the device is",) if self.simulated else ()
        said = self.prior.predict_many(models, self.correction.prior_type)
        return [
            spoken(before, model, self.correction, by=self.device_id, advice=CALIBRATED, reasons=how)
            for before, model in zip(said, models, strict=True)
        ]


def telling(prior: FleetPredictor, device_type: str, models: Sequence[Features], fewest: int) -> list[bool]:
    """Return which of `models` tell something about a board when they run there; all, when fewer than `fewest` do."""
    said = prior.predict_many(models, prior_type(device_type))
    told = [bool(p.low_mj and p.high_mj and p.high_mj <= MOST_DOUBT * p.low_mj) for p in said]
    return told if sum(told) >= fewest else [True] * len(models)


def prior_error_percent(prior: FleetPredictor, device_type: str, runs: Sequence[Run]) -> float | None:
    """Return the mean absolute error of what other boards foretell for `runs`, None without any."""
    said = prior.predict_many([run.features for run in runs], prior_type(device_type))
    return mape_percent([p.energy_mj for p in said], runs)


def correction_error_percent(prior: FleetPredictor, correction: Correction, runs: Sequence[Run]) -> float | None:
    """Return the mean absolute error of an existing correction on `runs`; those it learned from flatter it."""
    said = OnDevice(prior=prior, correction=correction, device_id="").predict_many([r.features for r in runs], "")
    return mape_percent([p.energy_mj for p in said], runs)


def held_out_error_percent(prior: FleetPredictor, device_type: str, runs: Sequence[Run]) -> float | None:
    """Return the mean absolute error of corrections fitted to all `runs` but the one asked about; None below two."""
    if len(runs) < 2:  # noqa: PLR2004 - one run leaves nothing to learn from
        return None
    said: list[float | None] = []
    for i, run in enumerate(runs):
        others = [*runs[:i], *runs[i + 1 :]]
        fitted = OnDevice(prior=prior, correction=calibrate(prior, device_type, others), device_id="")
        said.append(fitted.predict(run.features, device_type).energy_mj)
    return mape_percent(said, runs)


def takes_over(champion_percent: float | None, challenger_percent: float | None, runs: int) -> bool:
    """Return whether the challenger is better, and on enough runs, to replace the champion.

    The champion is judged with what it has seen and the challenger without, so a tie or a small lead stays with it.
    """
    if champion_percent is None or challenger_percent is None or runs < FEWEST:
        return False
    return challenger_percent < MARGIN * champion_percent


def mape_percent(said: Sequence[float | None], runs: Sequence[Run]) -> float | None:
    """Return the mean absolute error of what was `said`, mJ per inference, for `runs`; None where nothing was."""
    errors = [
        100 * abs(energy_mj - run.energy_mj) / run.energy_mj
        for energy_mj, run in zip(said, runs, strict=True)
        if energy_mj is not None
    ]
    return round(statistics.fmean(errors), 3) if errors else None
