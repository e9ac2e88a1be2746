"""Brings together what the gate needs to know: the model, its predicted and its measured energy, and what else fits."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from controller.gate import Alternative, Elsewhere, Measurement, Policy, Verdict, decide
from controller.models.catalog import Catalogue, Model
from controller.predict.advice import elsewhere, would_fit
from controller.predict.prediction import Prediction, Predictor
from controller.records import Measurements
from controller.store import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A model weighed against a device."""

    model: Model
    prediction: Prediction
    verdict: Verdict

    @property
    def predicted(self) -> dict[str, Any]:
        """The prediction as a document."""
        return asdict(self.prediction)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Asks the predictor, the measurements and the gate."""

    catalogue: Catalogue
    predictor: Predictor
    measurements: Measurements
    device_types: Callable[[], list[tuple[str, str]]]

    def model(self, name: str) -> Model:
        """Return a model, made now if the project can make it; raises NotFoundError with the nearest names."""
        return self.catalogue.get(name)

    def predict(self, device: Row, model: Model) -> Prediction:
        """Return what `model` is predicted to cost on `device`."""
        return self.predictor.predict(model.features, (device["info"] or {}).get("device_type") or "unknown")

    def judge(
        self, device: Row, model_name: str, *, budget_mj: float | None, policy: Policy, forced_reason: str | None
    ) -> Judgement:
        """Return what the gate says to `model_name` on `device`. Raises NotFoundError, InvalidError."""
        model = self.model(model_name)
        device_type = (device["info"] or {}).get("device_type") or "unknown"
        prediction = self.predictor.predict(model.features, device_type)
        verdict = decide(
            model=model.name,
            device_type=device_type,
            device_id=device["id"],
            prediction=prediction,
            measurement=self._measurement(device["id"], model),
            budget_mj=budget_mj,
            policy=policy,
            forced_reason=forced_reason,
            fits=self._alternatives(device_type, budget_mj, model),
        )
        if verdict.code:
            verdict = replace(verdict, elsewhere=self._elsewhere(device["id"], model, budget_mj or 0.0))
        return Judgement(model=model, prediction=prediction, verdict=verdict)

    def _measurement(self, device_id: str, model: Model) -> Measurement | None:
        row = self.measurements.get(device_id, model.name)
        if row is None or row["artifact_sha256"] not in (None, model.artifact_sha256):
            return None
        return Measurement(
            energy_mj=row["energy_mj"],
            source=row["source"],
            p95_ms=row["p95_ms"],
            at=datetime.fromtimestamp(row["at"], UTC),
            samples=row["inferences"] or 0,
        )

    def _alternatives(self, device_type: str, budget_mj: float | None, wanted: Model) -> tuple[Alternative, ...]:
        if budget_mj is None:
            return ()
        return would_fit(self.catalogue.all(), self.predictor, device_type, budget_mj, wanted)

    def _elsewhere(self, device_id: str, model: Model, budget_mj: float) -> tuple[Elsewhere, ...]:
        others = [(name, kind) for name, kind in self.device_types() if name != device_id]
        known = (None, model.artifact_sha256)
        rows = self.measurements.of_model(model.name)
        measured = {row["device_id"]: row["energy_mj"] for row in rows if row["artifact_sha256"] in known}
        return elsewhere(model, self.predictor, others, budget_mj, measured)
