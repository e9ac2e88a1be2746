"""Names the models worth offering: what would fit a budget, and what costs least for how well it answers."""

from collections.abc import Sequence
from dataclasses import dataclass

from controller.gate import Alternative
from controller.models.catalog import Model
from controller.predict.prediction import Prediction
from controller.predict.predictor import EnergyPredictor

RECOMMENDED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """A model with what it would cost; `best_for_its_cost` when nothing cheaper answers as well."""

    model: Model
    prediction: Prediction
    best_for_its_cost: bool


def would_fit(
    predictor: EnergyPredictor, models: Sequence[Model], device_type: str, budget_mj: float | None
) -> tuple[Alternative, ...]:
    """Return the models whose upper end (mJ per inference) fits `budget_mj` on a device of `device_type`.

    Most accurate first, then cheapest; models known to be untrained are not offered, unmeasured accuracy comes last.
    """
    if budget_mj is None:
        return ()
    usable = [model for model in models if model.trained is not False]
    predictions = predictor.predict_many([model.features for model in usable], device_type)
    fitting = [
        Alternative(model=model.name, energy_mj=said.energy_mj, high_mj=said.high_mj, top1_pct=model.top1_pct)
        for model, said in zip(usable, predictions, strict=True)
        if said.energy_mj is not None and said.high_mj is not None and said.high_mj <= budget_mj
    ]
    return tuple(sorted(fitting, key=lambda a: (-(a.top1_pct or 0.0), a.energy_mj, a.model)))


def recommended(
    predictor: EnergyPredictor,
    models: Sequence[Model],
    device_type: str,
    *,
    min_top1_pct: float | None = None,
    limit: int = RECOMMENDED,
) -> list[Recommendation]:
    """Return the `limit` models that cost least on a device of `device_type`, cheapest first.

    With `min_top1_pct` only those measured to be at least that accurate. A board without predictions gets none.
    """
    usable = [m for m in models if min_top1_pct is None or (m.top1_pct is not None and m.top1_pct >= min_top1_pct)]
    predictions = predictor.predict_many([model.features for model in usable], device_type)
    known = [(m, p, p.energy_mj) for m, p in zip(usable, predictions, strict=True) if p.energy_mj is not None]
    chosen, best = [], -1.0
    for model, said, _ in sorted(known, key=lambda entry: (entry[2], entry[0].name)):
        better = model.trained is not False and (model.top1_pct or 0.0) > best
        best = max(best, model.top1_pct or 0.0) if better else best
        chosen.append(Recommendation(model=model, prediction=said, best_for_its_cost=better))
    return chosen[:limit]
