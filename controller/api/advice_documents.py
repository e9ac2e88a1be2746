"""The documents of advice, made from its records."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from controller.api.documents import Document, prediction_document, verdict_document
from controller.choosing import Chosen, LeftOut, plain
from controller.models.model import Model
from controller.predict.advice import task_of, variants
from controller.predict.battery import Outlook, Source
from controller.predict.features import derived
from controller.predict.latency import implied_ms
from controller.predict.planner import Plan
from controller.predict.predictor import FleetPredictor
from controller.predict.published import networks
from controller.predict.survey import Survey

NEAREST = 3


def pareto_document(found: Survey) -> Document:
    """Return the survey: `models` that could be compared, cheapest first, and `apart` those that could not, and why."""
    entries = {entry.candidate.name: entry for entry in found.entries}
    models = []
    for placed in found.front.placed:
        entry = entries[placed.candidate.name]
        models.append(
            asdict(placed.candidate)
            | {
                "on_frontier": not placed.dominated_by,
                "dominated_by": list(placed.dominated_by),
                "surely": placed.surely,
                "family": entry.family,
                "in_store": entry.in_store,
                "energy_source": entry.energy_source,
                "latency_source": entry.latency_source,
                "support": entry.prediction.support,
            }
        )
    apart = []
    for unplaced in found.front.unplaced:
        entry = entries[unplaced.candidate.name]
        reasons = list(entry.prediction.reasons) if unplaced.candidate.energy_mj is None else []
        apart.append(
            asdict(unplaced.candidate) | {"reason": unplaced.reason, "reasons": reasons, "in_store": entry.in_store}
        )
    return {"models": models, "apart": apart, "tasks_with_latency": list(found.front.with_latency)}


def explanation(model: Model, predictor: FleetPredictor, device_type: str) -> Document:
    """Return what a prediction rests on: the model's figures, the support, the nearest measured networks, variants."""
    said = predictor.predict(model.features, device_type)
    [latency] = implied_ms([model.features], [said], predictor, device_type)
    alike = [network for network in networks() if network.features.quantized == model.quantized]
    near = sorted(alike, key=lambda n: abs(math.log(n.features.gmacs / model.gmacs)))[:NEAREST]
    features = {name: value for name, value in asdict(model.features).items() if value is not None}
    return {
        "model": model.name,
        "device_type": device_type,
        "task": task_of(model),
        "top1_pct": model.top1_pct,
        "features": features,
        "derived": derived(model.features),
        "prediction": prediction_document(said),
        "latency_ms": latency,
        "nearest_measured": [
            {"name": n.name, "family": n.family, "gmacs": n.features.gmacs, "top1_pct": n.top1_pct} for n in near
        ],
        "variants": [asdict(each) for each in variants(model, predictor, device_type)],
    }


def best_document(chosen: Chosen) -> Document:
    """Return the model chosen for a device with the gate's verdict on it, or why there is none."""
    return {
        "device_id": chosen.device_id,
        "device_type": chosen.device_type,
        "allowed": chosen.model is not None,
        "model": chosen.model.name if chosen.model else None,
        "top1_pct": chosen.model.top1_pct if chosen.model else None,
        "verdict": verdict_document(chosen.verdict) if chosen.verdict else None,
        "reason": chosen.reason,
    }


def plan_document(
    found: Plan, left_out: Sequence[LeftOut], types: Mapping[str, str], given: Mapping[str, float]
) -> Document:
    """Return the plan, in one sentence too; `left_out` names the devices it is not about."""
    assigned = [asdict(each) | {"device_type": types[each.device_id]} for each in found.assigned]
    names = ("feasible", "optimal", "mean_top1_pct", "wh_per_day", "least_wh_per_day", "short_wh_per_day")
    facts = {name: getattr(found, name) for name in names}
    lists = {"assigned": assigned, "left_out": [asdict(each) for each in left_out]}
    return facts | lists | {"sentence": _sentence(found, given)}


def _sentence(found: Plan, given: Mapping[str, float]) -> str:
    energy = f"{plain(given['energy_wh_per_day'])} Wh per day"
    if not found.feasible:
        return (
            f"not feasible: {energy} is {plain(found.short_wh_per_day)} Wh short;"
            f" models with at least {given['min_top1']:g} % take {plain(found.least_wh_per_day)} Wh at the least"
        )
    proven = "" if found.optimal else "; the time was over before it was proven best"
    spent = f"{plain(found.wh_per_day or 0.0)} Wh of {energy}"
    return f"{len(found.assigned)} devices at a mean of {found.mean_top1_pct:.1f} % for {spent}{proven}"


def outlook_document(found: Outlook, source: Source, idle_mw: float) -> Document:
    """Return what a battery and the sun are good for."""
    return asdict(found) | asdict(source) | {"idle_mw": idle_mw}
