"""The documents that REST answers with, made from the controller's records."""

from typing import Any

from broker.energy import MWH_BASIS_INFERENCES, mwh_from_mj
from broker.wire import document
from controller.deployment import Deployment
from controller.gate import Verdict
from controller.models.catalog import Model
from controller.predict.prediction import Prediction
from controller.store import Row

Document = dict[str, Any]


def deployment_document(d: Deployment) -> Document:
    """Return a deployment; what is not known is null."""
    return {
        "id": d.id,
        "command_id": d.command_id,
        "device_id": d.device_id,
        "model": d.model,
        "phase": d.phase.value,
        "terminal": d.terminal,
        "reason": d.reason,
        "code": d.code,
        "since": d.since,
        "created_at": d.created_at,
        "news_at": d.news_at,
        "deadline_at": d.deadline_at,
        "attempt": d.attempt,
        "origin": d.origin,
        "budget_mj": d.budget_mj,
        "policy": d.policy,
        "predicted": d.predicted,
        "verdict": d.verdict,
        "forced_reason": d.forced_reason,
        "gen": d.gen,
        "artifact_sha256": d.artifact.sha256 if d.artifact else None,
        "result": d.result,
        "progress": document(d.progress) if d.progress else None,
    }


def verdict_document(verdict: Verdict) -> Document:
    """Return the gate's answer with the sentence that every way in shows."""
    names = ("allowed", "verdict", "code", "reason", "sentence", "energy_mj", "low_mj", "high_mj", "budget_mj")
    facts = {name: getattr(verdict, name) for name in (*names, "basis", "source", "support")}
    lists = {
        name: [document(each) for each in getattr(verdict, name)] for name in ("would_fit", "elsewhere", "variants")
    }
    return facts | lists


def model_document(model: Model) -> Document:
    """Return a model of the catalogue."""
    every = {name: getattr(model, name) for name in Model.__dataclass_fields__}
    return every | {"formats": [model.format], "gflops": 2 * model.gmacs, "input_shape": list(model.input_shape)}


def prediction_document(prediction: Prediction) -> Document:
    """Return a prediction in mJ per inference and, beside it, in mWh per run of 500 inferences."""
    p = prediction
    return {
        "energy_mj": p.energy_mj,
        "low_mj": p.low_mj,
        "high_mj": p.high_mj,
        "predicted_energy_mwh": mwh(p.energy_mj),
        "mwh_basis_inferences": MWH_BASIS_INFERENCES,
        "confidence_interval_lower": mwh(p.low_mj),
        "confidence_interval_upper": mwh(p.high_mj),
        "confidence_percent": 95,
        "category": p.category,
        "model_accuracy_mape": p.mape_pct,
        "support": p.support,
        "reasons": list(p.reasons),
        "predictor": p.predictor,
        "basis": p.basis,
        "recommendation": p.recommendation,
    }


def event_document(row: Row) -> Document:
    """Return one event of the audited stream."""
    known = {name: row[name] for name in ("id", "at", "who", "device_id", "deployment_id", "phase", "text")}
    facts = row["facts"] or {}
    return known | {"type": row["kind"], "reason": facts.get("reason"), "facts": facts}


def mwh(energy_mj: float | None) -> float | None:
    """Return mWh per run of 500 inferences, or None."""
    return None if energy_mj is None else mwh_from_mj(energy_mj)
