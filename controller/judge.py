"""Brings together what the gate needs to know: the model, its predicted and its measured energy, and what else fits."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from broker.energy import MEASURED
from controller.contest import OnDevice
from controller.corrections import Corrections
from controller.gate import Alternative, Elsewhere, Measurement, Policy, Verdict, decide
from controller.ledger import SIMULATED
from controller.models.catalog import Catalogue, Model
from controller.predict.advice import elsewhere, variants, would_fit
from controller.predict.calibrate import calibrate
from controller.predict.prediction import Prediction, Predictor
from controller.predict.predictor import FleetPredictor
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
    predictor: FleetPredictor
    measurements: Measurements
    corrections: Corrections
    device_types: Callable[[], list[tuple[str, str]]]

    def model(self, name: str) -> Model:
        """Return a model, made now if the project can make it; raises NotFoundError with the nearest names."""
        return self.catalogue.get(name)

    def predict(self, device: Row, model: Model) -> Prediction:
        """Return what `model` is predicted to cost on `device`."""
        return self.predictor_for(device).predict(model.features, _type(device))

    def predictor_for(self, device: Row) -> Predictor:
        """Return who speaks for `device`: the fleet's predictor, corrected where the device was calibrated.

        A correction that learned from a simulation counts only while the device says it is simulated, and none counts
        for a device that has become another board. One that corrects an older predictor is fitted anew from its runs.
        """
        kept = self.corrections.current(device["id"])
        simulated = bool((device["info"] or {}).get("simulated"))
        if kept is None or kept.simulated != simulated or kept.correction.device_type != _type(device):
            return self.predictor
        correction = kept.correction
        said = self.predictor.predict(kept.runs[0].features, correction.prior_type)
        if said.predictor != correction.predictor:
            correction = calibrate(self.predictor, correction.device_type, kept.runs)
        return OnDevice(prior=self.predictor, correction=correction, device_id=device["id"], simulated=simulated)

    def judge(
        self, device: Row, model_name: str, *, budget_mj: float | None, policy: Policy, forced_reason: str | None
    ) -> Judgement:
        """Return what the gate says to `model_name` on `device`. Raises NotFoundError, InvalidError."""
        model = self.model(model_name)
        device_type, predictor = _type(device), self.predictor_for(device)
        prediction = predictor.predict(model.features, device_type)
        verdict = decide(
            model=model.name,
            device_type=device_type,
            device_id=device["id"],
            prediction=prediction,
            measurement=self._measurement(device, model, prediction),
            budget_mj=budget_mj,
            policy=policy,
            forced_reason=forced_reason,
            fits=self._alternatives(predictor, device_type, budget_mj, model),
        )
        if verdict.code:
            others = self._elsewhere(device["id"], model, budget_mj or 0.0)
            made = variants(model, predictor, device_type, budget_mj)
            verdict = replace(verdict, elsewhere=others, variants=made)
        return Judgement(model=model, prediction=prediction, verdict=verdict)

    def _measurement(self, device: Row, model: Model, prediction: Prediction) -> Measurement | None:
        row = self.measurements.get(device["id"], model.name)
        if row is None or row["artifact_sha256"] not in (None, model.artifact_sha256):
            return None
        if not _beats(row["source"], prediction, simulated=bool((device["info"] or {}).get("simulated"))):
            return None
        return Measurement(
            energy_mj=row["energy_mj"],
            source=row["source"],
            p95_ms=row["p95_ms"],
            at=datetime.fromtimestamp(row["at"], UTC),
            samples=row["inferences"] or 0,
        )

    def _alternatives(
        self, predictor: Predictor, device_type: str, budget_mj: float | None, wanted: Model
    ) -> tuple[Alternative, ...]:
        if budget_mj is None:
            return ()
        return would_fit(self.catalogue.all(), predictor, device_type, budget_mj, wanted)

    def _elsewhere(self, device_id: str, model: Model, budget_mj: float) -> tuple[Elsewhere, ...]:
        others = [(name, kind) for name, kind in self.device_types() if name != device_id]
        known = (None, model.artifact_sha256)
        rows = self.measurements.of_model(model.name)
        usable = [row for row in rows if row["artifact_sha256"] in known and row["source"] in MEASURED | {SIMULATED}]
        measured = {row["device_id"]: row["energy_mj"] for row in usable}
        return elsewhere(model, self.predictor, others, budget_mj, measured)


def _beats(source: str, prediction: Prediction, *, simulated: bool) -> bool:
    """Return whether an energy of `source` on this very device is better than its prediction.

    What a meter measured always is; a simulation on a device that is one; a device's own model of its power only where
    the prediction has no measured board behind it.
    """
    if source in MEASURED:
        return True
    if source == SIMULATED:
        return simulated
    return prediction.support not in ("high", "proxy")


def _type(device: Row) -> str:
    return (device["info"] or {}).get("device_type") or "unknown"
