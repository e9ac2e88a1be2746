"""The documents that REST answers with, made from the controller's records."""

from typing import Any

from broker.energy import MWH_BASIS_INFERENCES, mwh_from_mj
from broker.phases import Phase
from broker.wire import document
from controller.deployment import Deployment
from controller.gate import Verdict
from controller.models.manifest import Artifact
from controller.models.model import Model
from controller.predict.prediction import Prediction

Document = dict[str, Any]

UNTAKEN = frozenset({Phase.QUEUED, Phase.SENT})
"""Phases in which a device has not taken a deployment yet."""


def deployment_document(d: Deployment, wake_at: float | None = None) -> Document:
    """Return a deployment; what is not known is null. `wake_at` is when its device wakes, if it sleeps."""
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
        "rollout_id": d.rollout_id,
        "eta": d.eta,
        "budget_mj": d.budget_mj,
        "latency_ms": d.latency_ms,
        "when": document(d.when) if d.when else None,
        "soak_s": d.soak_s,
        "policy": d.policy,
        "predicted": d.predicted,
        "verdict": d.verdict,
        "forced_reason": d.forced_reason,
        "gen": d.gen,
        "artifact_sha256": d.artifact.sha256 if d.artifact else None,
        "job_id": d.job_id,
        "will_apply_at": wake_at if d.phase in UNTAKEN else None,
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
    """Return a model of the catalogue; what is not stored has no file, and null for what only a file has."""
    facts = {name: getattr(model, name) for name in Model.__dataclass_fields__}
    preferred = {name: getattr(model, name) for name in ("stored", "format", "artifact_sha256", "size", "means")}
    lists = {name: list(getattr(model, name)) for name in ("formats", "input_shape", "damaged")}
    artifacts = [artifact_document(artifact) for artifact in model.artifacts]
    return facts | preferred | lists | {"gflops": 2 * model.gmacs, "artifacts": artifacts}


def artifact_document(artifact: Artifact) -> Document:
    """Return a file of the store with what its maker said of it."""
    own = ("sha256", "size", "format", "models", "created_at", "deployed_at", "evicted_at")
    about = ("variant", "quantization", "opset", "ir_version", "made_by", "made_from", "licence", "source")
    golden = artifact.about.golden
    return (
        {name: getattr(artifact, name) for name in own}
        | {name: getattr(artifact.about, name) for name in about}
        | {"golden": document(golden) if golden else None, "signed": bool(artifact.signatures)}
    )


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


def mwh(energy_mj: float | None) -> float | None:
    """Return mWh per run of 500 inferences, or None."""
    return None if energy_mj is None else mwh_from_mj(energy_mj)
