"""The budget gate: may this model go to this device, and in which words do we say so."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from broker.energy import MEASURED
from broker.errors import InvalidError
from controller.predict.prediction import Prediction

Policy = Literal["strict", "expected"]
"""`strict` asks the upper end of the 95 % interval to fit; `expected` asks the predicted figure itself."""

Outcome = Literal["fits", "tight", "over", "unknown", "no_budget", "forced", "unrunnable", "barred"]
"""`tight`: the figure fits, the upper end of its interval does not; `unrunnable`: the device runs no format of it;
`barred`: the device's own policy does not allow it."""

LEAST_BUDGET_MJ, MOST_BUDGET_MJ = 1e-6, 1e9
"""A nanojoule and a megajoule: what lies outside is a slip of the keyboard, and no figure that can be read."""

MAX_NAMED = 3
"""How many alternatives one sentence names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A model of the catalogue that would fit the same budget on the same device.

    `accuracy_loss_points`: top-1 of the wanted model less its own, None where the two cannot be compared.
    """

    model: str
    energy_mj: float
    high_mj: float
    top1_pct: float | None = None
    accuracy_loss_points: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """Another device of the fleet on which the wanted model itself would fit the same budget."""

    device_id: str
    device_type: str
    energy_mj: float
    high_mj: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A model as it could be made, not in the store: what it is predicted to cost, and the accuracy it likely loses.

    `accuracy_loss_points` is None where nothing published says it.
    """

    name: str
    energy_mj: float
    high_mj: float
    accuracy_loss_points: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What this model cost on this very device; `source` says what measured it."""

    energy_mj: float
    source: str
    p95_ms: float | None = None
    at: datetime | None = None
    samples: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The gate's answer; `sentence` is what every way in shows."""

    allowed: bool
    verdict: Outcome
    code: Literal["", "over_budget", "no_prediction", "no_format", "local_policy"]
    reason: str
    energy_mj: float | None
    low_mj: float | None
    high_mj: float | None
    budget_mj: float | None
    basis: Literal["measurement", "architecture", "latency", "none"]
    source: str = ""
    support: str = "none"
    would_fit: tuple[Alternative, ...] = ()
    elsewhere: tuple[Elsewhere, ...] = ()
    variants: tuple[Variant, ...] = ()

    @property
    def sentence(self) -> str:
        """The reason, and for a refusal what would fit instead and where the model itself would."""
        if self.code != "over_budget" and not (self.code == "local_policy" and self.would_fit):
            return self.reason
        named = ", ".join(_offer(a) for a in self.would_fit[:MAX_NAMED])
        here = f"would fit: {named}" if named else "no model in the catalogue would fit"
        others = ", ".join(f"{e.device_id} ({_mj(e.energy_mj)})" for e in self.elsewhere[:MAX_NAMED])
        made = ", ".join(f"{v.name} ({_mj(v.energy_mj)})" for v in self.variants) if not named else ""
        here += f"; made anew would fit: {made}" if made else ""
        return f"{self.reason}; {here}" + (f"; the same model would fit on {others}" if others else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Figure:
    """What is compared with the budget: a measurement, or a prediction with its interval."""

    energy_mj: float | None
    low_mj: float | None
    high_mj: float | None
    basis: Literal["measurement", "architecture", "latency", "none"]
    source: str
    support: str
    words: str
    upper_end_only: bool = False


def decide(
    *,
    model: str,
    device_type: str,
    prediction: Prediction | None,
    measurement: Measurement | None = None,
    budget_mj: float | None,
    policy: Policy = "strict",
    forced_reason: str | None = None,
    fits: Sequence[Alternative] = (),
    device_id: str = "ID",
    unrunnable: str | None = None,
) -> Verdict:
    """Return whether `model` may go to a device of `device_type` under `budget_mj` (mJ per inference).

    A measurement on this very device beats a prediction. Under `strict` the upper end of the interval has to fit; with
    support `low` it has to under `expected` too. Without any figure a budget cannot be kept, so the answer is
    `no_prediction`. `forced_reason` lets a refused model through and is kept in the reason; nothing lets one through of
    which the device runs no format, for the reason `unrunnable`.

    Raises InvalidError for a budget or a measurement that is not a positive number.
    """
    if budget_mj is not None:
        _require_positive("budget_mj", budget_mj)
        if not LEAST_BUDGET_MJ <= budget_mj <= MOST_BUDGET_MJ:
            raise InvalidError(
                f"a budget of {budget_mj:g} mJ per inference is no device's",
                hint=f"{LEAST_BUDGET_MJ:g} to {MOST_BUDGET_MJ:g}, or leave it out for no budget",
                field="budget_mj",
            )
    figure = _figure(model, device_type, prediction, measurement)
    outcome = _outcome(figure, budget_mj)
    allowed = outcome in {"fits", "no_budget"} or (
        outcome == "tight" and policy == "expected" and not figure.upper_end_only
    )
    code = "" if allowed else ("no_prediction" if outcome == "unknown" else "over_budget")
    reason = _reason(model, device_id, figure, outcome, budget_mj)
    forced = (forced_reason or "").strip()
    if not allowed and forced:
        allowed, code, outcome, reason = True, "", "forced", f"forced ({forced}) although {reason}"
    if unrunnable:
        allowed, code, outcome = False, "no_format", "unrunnable"
        reason = f"no format of {model} runs on {device_id}: {unrunnable}"
    return Verdict(
        allowed=allowed,
        verdict=outcome,
        code=code,  # type: ignore[arg-type]  # one of the literals above
        reason=reason,
        energy_mj=figure.energy_mj,
        low_mj=figure.low_mj,
        high_mj=figure.high_mj,
        budget_mj=budget_mj,
        basis=figure.basis,
        source=figure.source,
        support=figure.support,
        would_fit=() if budget_mj is None or outcome == "fits" else _fitting(fits, model, budget_mj),
    )


def _figure(model: str, device_type: str, prediction: Prediction | None, measurement: Measurement | None) -> _Figure:
    if measurement is not None:
        return _measured(model, measurement)
    if prediction is None or prediction.energy_mj is None or prediction.high_mj is None:
        why = f" ({'; '.join(prediction.reasons)})" if prediction is not None and prediction.reasons else ""
        words = f"nothing is known about the energy of {model} on {device_type}{why}"
        return _Figure(energy_mj=None, low_mj=None, high_mj=None, basis="none", source="", support="none", words=words)
    upper, point = _apart(prediction.high_mj, prediction.energy_mj)
    caution = {
        "proxy": ", from a sibling board",
        "low": ", far from anything measured, so the upper end counts",
    }.get(prediction.support, "")
    return _Figure(
        energy_mj=prediction.energy_mj,
        low_mj=prediction.low_mj,
        high_mj=prediction.high_mj,
        basis=prediction.basis,
        source=prediction.predictor,
        support=prediction.support,
        words=f"{model} is predicted to cost {point} per inference on {device_type} (up to {upper} at 95 %{caution})",
        upper_end_only=prediction.support == "low",
    )


def _measured(model: str, measurement: Measurement) -> _Figure:
    _require_positive("measurement", measurement.energy_mj)
    verb = "was measured at" if measurement.source in MEASURED else "ran at"
    cost = f"{_mj(measurement.energy_mj)} per inference on this device (source: {measurement.source})"
    return _Figure(
        energy_mj=measurement.energy_mj,
        low_mj=measurement.energy_mj,
        high_mj=measurement.energy_mj,
        basis="measurement",
        source=measurement.source,
        support="high",
        words=f"{model} {verb} {cost}",
    )


def _outcome(figure: _Figure, budget_mj: float | None) -> Outcome:
    if budget_mj is None:
        return "no_budget"
    if figure.energy_mj is None or figure.high_mj is None:
        return "unknown"
    if max(figure.high_mj, figure.energy_mj) <= budget_mj:
        return "fits"
    return "tight" if figure.energy_mj <= budget_mj else "over"


def _reason(model: str, device_id: str, figure: _Figure, outcome: Outcome, budget_mj: float | None) -> str:
    if budget_mj is None:
        return f"no budget was set; {figure.words}"
    budget = _mj(budget_mj)
    match outcome:
        case "unknown":
            return (
                f"{figure.words}, so the budget of {budget} cannot be checked;"
                f" measure first: edgewatt devices measure {device_id} {model}"
            )
        case "fits":
            return f"{figure.words}, within the budget of {budget}"
        case "tight":
            above, budget = _apart(figure.high_mj or budget_mj, budget_mj)
            return f"{figure.words}: the upper end of {above} is above the budget of {budget}"
        case _:
            above, budget = _apart(figure.energy_mj or budget_mj, budget_mj)
            return f"{figure.words}: {above} is above the budget of {budget}"


def _fitting(fits: Sequence[Alternative], model: str, budget_mj: float) -> tuple[Alternative, ...]:
    return tuple(a for a in fits if a.model != model and a.high_mj <= budget_mj)


def _offer(alternative: Alternative) -> str:
    loss = alternative.accuracy_loss_points
    if loss is None or not round(loss, 1):
        return f"{alternative.model} ({_mj(alternative.energy_mj)})"
    change = f"{abs(loss):.1f} points {'less' if loss > 0 else 'more'} accurate"
    return f"{alternative.model} ({_mj(alternative.energy_mj)}, {change})"


def _require_positive(name: str, value: float) -> None:
    if not math.isfinite(value) or value <= 0:
        raise InvalidError(
            f"{name} must be a positive number of mJ per inference, not {value:g}",
            hint="leave it out for no budget",
            field=name,
        )


def _mj(value: float, digits: int = 3) -> str:
    """Return `value` in mJ with `digits` significant ones, never as an exponent."""
    decimals = max(0, digits - 1 - math.floor(math.log10(value))) if value > 0 else 0
    text = f"{value:,.{decimals}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} mJ"


def _apart(above: float, below: float) -> tuple[str, str]:
    """Return both figures with as many digits as it takes to see that they differ."""
    for digits in (3, 4, 5, 6, 9):
        pair = _mj(above, digits), _mj(below, digits)
        if pair[0] != pair[1]:
            break
    return pair
