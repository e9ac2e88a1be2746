"""Names what is worth offering: what would fit a budget, where a model would, what is best, and what costs least."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from controller.gate import Alternative, Elsewhere, Variant
from controller.models.model import Model
from controller.predict.features import Features
from controller.predict.prediction import Prediction, Predictor

RECOMMENDED = 10

NAMED_ELSEWHERE = 5
"""How many other devices an answer names."""


INT8_LOSS_POINTS = 2.1
"""Median top-1 lost from float to integers over the 45 published pairs of data/networks.csv."""

SMALLER_INPUT = 0.75
"""The next smaller input that the published families come in: 224 → 168 pixels and so on."""


def would_fit(
    models: Sequence[Model],
    predictor: Predictor,
    device_type: str,
    budget_mj: float | None,
    wanted: Model | None = None,
) -> tuple[Alternative, ...]:
    """Return the models whose upper end (mJ per inference) fits `budget_mj` on a device of `device_type`.

    Those that answer the same question as `wanted` first, then the most accurate, then the cheapest; models known to be
    untrained are not offered, unmeasured accuracy comes last.
    """
    if budget_mj is None:
        return ()
    usable = [model for model in models if model.trained is not False]
    fitting = [
        (model, _alternative(model, said.energy_mj, said.high_mj, wanted))
        for model, said in predicted(usable, predictor, device_type)
        if said.energy_mj is not None and said.high_mj is not None and said.high_mj <= budget_mj
    ]
    task = task_of(wanted) if wanted else ""
    fitting.sort(key=lambda f: (task_of(f[0]) != task, -(f[0].top1_pct or 0.0), f[1].energy_mj, f[0].name))
    return tuple(offer for _, offer in fitting)


def task_of(model: Model) -> str:
    """Return what a model answers, as far as its labels tell: accuracy is compared within this only."""
    return f"{model.labels} labels" if model.labels else "unknown"


def elsewhere(
    model: Model,
    predictor: Predictor,
    devices: Sequence[tuple[str, str]],
    budget_mj: float,
    measured: Mapping[str, float],
    *,
    runs: Callable[[str], bool] = lambda _: True,
) -> tuple[Elsewhere, ...]:
    """Return which of `devices`, (id, type) each, `model` would fit, the cheapest first; only those that it `runs` on.

    What it cost on a device, mJ by its id in `measured`, beats what is predicted there, as at the gate.
    """
    said = {kind: predictor.predict(model.features, kind) for kind in {kind for _, kind in devices}}
    fitting = []
    for device_id, kind in devices:
        energy_mj, high_mj = said[kind].energy_mj, said[kind].high_mj
        if device_id in measured:
            energy_mj = high_mj = measured[device_id]
        if energy_mj is not None and high_mj is not None and high_mj <= budget_mj:
            fitting.append(Elsewhere(device_id=device_id, device_type=kind, energy_mj=energy_mj, high_mj=high_mj))
    fitting.sort(key=lambda e: (e.high_mj, e.device_id))
    return tuple(islice((e for e in fitting if runs(e.device_id)), NAMED_ELSEWHERE))


def variants(
    model: Model, predictor: Predictor, device_type: str, budget_mj: float | None = None
) -> tuple[Variant, ...]:
    """Return what `model` with integer weights and with a smaller input is predicted to cost, the cheapest first.

    With `budget_mj` only those whose upper end fits it.
    """
    made: list[tuple[str, Features, float | None]] = []
    features = model.features
    if not features.quantized:
        loss = None if model.top1_pct is None else INT8_LOSS_POINTS
        made.append(("int8", replace(features, quantized=True, size_mb=features.size_mb / 4), loss))
    if features.input_res:
        side = round(features.input_res * SMALLER_INPUT)
        made.append((f"{side} pixels", _smaller(features, side), None))
    answers = predictor.predict_many([each for _, each, _ in made], device_type) if made else []
    found = [
        Variant(name=f"{model.name} ({name})", energy_mj=p.energy_mj, high_mj=p.high_mj, accuracy_loss_points=loss)
        for (name, _, loss), p in zip(made, answers, strict=True)
        if p.energy_mj is not None and p.high_mj is not None and (budget_mj is None or p.high_mj <= budget_mj)
    ]
    return tuple(sorted(found, key=lambda v: v.energy_mj))


def recommended(
    models: Sequence[Model],
    predictor: Predictor,
    device_type: str,
    *,
    min_top1_pct: float | None = None,
    limit: int = RECOMMENDED,
) -> list[tuple[Model, Prediction]]:
    """Return the `limit` models that cost least on a device of `device_type`, cheapest first, with their predictions.

    With `min_top1_pct` only those measured to be at least that accurate. Models without a figure come last, those with
    the fewest MACs first, as the ones to measure there; their prediction has the reasons why there is none.
    """
    usable = [m for m in models if min_top1_pct is None or (m.top1_pct is not None and m.top1_pct >= min_top1_pct)]
    known = predicted(usable, predictor, device_type)
    known.sort(key=lambda entry: (entry[1].energy_mj is None, entry[1].energy_mj or 0.0, *_work(entry[0])))
    return known[:limit]


def predicted(models: Sequence[Model], predictor: Predictor, device_type: str) -> list[tuple[Model, Prediction]]:
    """Return each of `models` with what it is predicted to cost on a device of `device_type`."""
    said = predictor.predict_many([model.features for model in models], device_type)
    return list(zip(models, said, strict=True))


def _work(model: Model) -> tuple[float, str]:
    return model.features.gmacs, model.name


def _alternative(model: Model, energy_mj: float, high_mj: float, wanted: Model | None) -> Alternative:
    comparable = wanted is not None and task_of(wanted) == task_of(model)
    both = comparable and wanted is not None and wanted.top1_pct is not None and model.top1_pct is not None
    loss = (wanted.top1_pct or 0.0) - (model.top1_pct or 0.0) if both and wanted is not None else None
    return Alternative(
        model=model.name, energy_mj=energy_mj, high_mj=high_mj, top1_pct=model.top1_pct, accuracy_loss_points=loss
    )


def _smaller(features: Features, side: int) -> Features:
    """Return `features` at another input side: work and activations go with its square, weights stay."""
    ratio = (side / (features.input_res or side)) ** 2
    return replace(
        features,
        input_res=side,
        gmacs=features.gmacs * ratio,
        macts_m=None if features.macts_m is None else features.macts_m * ratio,
        dw_gmacs=None if features.dw_gmacs is None else features.dw_gmacs * ratio,
    )
