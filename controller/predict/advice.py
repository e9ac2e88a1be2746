"""Names the models worth offering: what would fit a budget, and what costs least."""

from collections.abc import Sequence

from controller.gate import Alternative
from controller.models.catalog import Model
from controller.predict.prediction import Prediction, Predictor

RECOMMENDED = 10


def would_fit(
    models: Sequence[Model], predictor: Predictor, device_type: str, budget_mj: float | None
) -> tuple[Alternative, ...]:
    """Return the models whose upper end (mJ per inference) fits `budget_mj` on a device of `device_type`.

    Most accurate first, then cheapest; models known to be untrained are not offered, unmeasured accuracy comes last.
    """
    if budget_mj is None:
        return ()
    usable = [model for model in models if model.trained is not False]
    fitting = [
        Alternative(model=model.name, energy_mj=said.energy_mj, high_mj=said.high_mj, top1_pct=model.top1_pct)
        for model, said in _predicted(usable, predictor, device_type)
        if said.energy_mj is not None and said.high_mj is not None and said.high_mj <= budget_mj
    ]
    return tuple(sorted(fitting, key=lambda a: (-(a.top1_pct or 0.0), a.energy_mj, a.model)))


def recommended(
    models: Sequence[Model],
    predictor: Predictor,
    device_type: str,
    *,
    min_top1_pct: float | None = None,
    limit: int = RECOMMENDED,
) -> list[tuple[Model, Prediction]]:
    """Return the `limit` models that cost least on a device of `device_type`, cheapest first, with their predictions.

    With `min_top1_pct` only those measured to be at least that accurate. A board without predictions gets none.
    """
    usable = [m for m in models if min_top1_pct is None or (m.top1_pct is not None and m.top1_pct >= min_top1_pct)]
    known = [
        (said.energy_mj, model.name, model, said)
        for model, said in _predicted(usable, predictor, device_type)
        if said.energy_mj is not None
    ]
    return [(model, said) for _, _, model, said in sorted(known, key=lambda entry: entry[:2])[:limit]]


def _predicted(models: Sequence[Model], predictor: Predictor, device_type: str) -> list[tuple[Model, Prediction]]:
    said = predictor.predict_many([model.features for model in models], device_type)
    return list(zip(models, said, strict=True))
