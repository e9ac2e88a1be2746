"""Brings together what the gate needs to know: the model, its predicted and its measured energy, and what else fits."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from broker.energy import MEASURED
from controller.feedback.contest import OnDevice
from controller.feedback.corrections import Corrections
from controller.feedback.ledger import SIMULATED
from controller.gate import Alternative, Elsewhere, Measurement, Policy, Verdict, decide
from controller.limits import Limits
from controller.models.catalog import Catalogue
from controller.models.model import Model
from controller.models.offer import COPIES_IN_MEMORY, RESERVE_MB, Offer, Wanted, offer, wanted_formats
from controller.predict.advice import elsewhere, variants, would_fit
from controller.predict.answering import Answering
from controller.predict.calibrate import calibrate
from controller.predict.prediction import Prediction, Predictor
from controller.predict.predictor import FleetPredictor
from controller.records import Measurements
from controller.storage.store import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A model weighed against a device."""

    model: Model
    prediction: Prediction
    verdict: Verdict
    offered: Offer

    @property
    def predicted(self) -> dict[str, Any]:
        """The prediction as a document."""
        return asdict(self.prediction)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """How the gate is asked."""

    budget_mj: float | None
    policy: Policy
    forced_reason: str | None


@dataclass(slots=True, kw_only=True)
class _Case:
    """What devices of one kind share; `alternatives` by budget are worked out when a model does not simply fit."""

    predictor: Predictor
    prediction: Prediction
    offered: Offer
    unrunnable: str | None
    alternatives: dict[float, tuple[Alternative, ...]] = field(default_factory=dict)


def nothing_is_built(_model: Model, _wanted: Sequence[Wanted]) -> bool:
    """Say of every model that it cannot be made in any of the formats that a device takes."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Asks the predictor, the measurements and the gate; `buildable` says whether a missing format could be made.

    Files come from `artifact_host`, signed or not: some devices want to know.
    """

    catalogue: Catalogue
    answering: Answering
    measurements: Measurements
    corrections: Corrections
    device_types: Callable[[], list[tuple[str, str]]]
    device: Callable[[str], Row | None]
    buildable: Callable[[Model, Sequence[Wanted]], bool] = nothing_is_built
    artifact_host: str = ""
    signs: bool = False

    @property
    def predictor(self) -> FleetPredictor:
        """Who answers for a device that was not calibrated."""
        return self.answering.current

    def model(self, name: str) -> Model:
        """Return a model, made now if the project can make it; raises NotFoundError with the nearest names."""
        return self.catalogue.get(name)

    def offer(self, device: Row, model: Model) -> Offer:
        """Return which artifact of `model` goes to `device`, and why the others do not."""
        return offer(model.artifacts, device["info"], held=_held(device))

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
        asked = _Asked(budget_mj=budget_mj, policy=policy, forced_reason=forced_reason)
        measured = self.measurements.get(device["id"], model.name)
        judgement = self._judged(device, model, self._case(device, model), asked, measured)
        if not judgement.verdict.code:
            return judgement
        others = self._elsewhere(device["id"], model, budget_mj or 0.0)
        made = variants(model, self.predictor_for(device), _type(device), budget_mj)
        return replace(judgement, verdict=replace(judgement.verdict, elsewhere=others, variants=made))

    def judge_all(
        self,
        devices: Iterable[Row],
        model_name: str,
        *,
        budget_mj: float | None,
        policy: Policy,
        forced_reason: str | None,
    ) -> Iterator[tuple[Row, Judgement]]:
        """Yield each of many devices with what `judge` says of it, but for where else the model would fit.

        What devices of one kind share is worked out once; a device is read when its turn comes. Raises NotFoundError,
        InvalidError.
        """
        model = self.model(model_name)
        asked = _Asked(budget_mj=budget_mj, policy=policy, forced_reason=forced_reason)
        largest_mb = max((artifact.size for artifact in model.artifacts), default=0) / 1e6
        corrected = self.corrections.all_current()
        measured = {row["device_id"]: row for row in self.measurements.of_model(model.name)}
        cases: dict[Any, _Case] = {}
        for device in devices:
            kind = device["id"] if device["id"] in corrected else _kind(device, largest_mb)
            if kind not in cases:
                cases[kind] = self._case(device, model)
            yield device, self._judged(device, model, cases[kind], asked, measured.get(device["id"]))

    def _case(self, device: Row, model: Model) -> "_Case":
        predictor, offered = self.predictor_for(device), self.offer(device, model)
        return _Case(
            predictor=predictor,
            prediction=predictor.predict(model.features, _type(device)),
            offered=offered,
            unrunnable=self._unrunnable(device, model, offered),
        )

    def _judged(self, device: Row, model: Model, case: "_Case", asked: "_Asked", measured: Row | None) -> Judgement:
        measurement = _measurement(device, model, case, measured) if measured else None

        def weighed(own_mj: float) -> Verdict:
            return self._weighed(device, model, case, replace(asked, budget_mj=own_mj, forced_reason=None), measurement)

        verdict = self._allowed_there(device, self._weighed(device, model, case, asked, measurement), weighed)
        return Judgement(model=model, prediction=case.prediction, verdict=verdict, offered=case.offered)

    def _weighed(
        self, device: Row, model: Model, case: "_Case", asked: "_Asked", measurement: Measurement | None
    ) -> Verdict:
        def decided(fits: Sequence[Alternative] = ()) -> Verdict:
            return decide(
                model=model.name,
                device_type=_type(device),
                device_id=device["id"],
                prediction=case.prediction,
                measurement=measurement,
                budget_mj=asked.budget_mj,
                policy=asked.policy,
                forced_reason=asked.forced_reason,
                fits=fits,
                unrunnable=case.unrunnable,
            )

        verdict = decided()
        budget_mj = asked.budget_mj
        if budget_mj is None or verdict.verdict == "fits":
            return verdict
        if budget_mj not in case.alternatives:
            case.alternatives[budget_mj] = self._alternatives(case.predictor, device, budget_mj, model)
        return decided(case.alternatives[budget_mj])

    def _allowed_there(self, device: Row, verdict: Verdict, weigh: Callable[[float], Verdict]) -> Verdict:
        """Return `verdict`, or the no of the device's own policy, which nothing overrides."""
        limits = Limits.of(device["id"], device["info"])
        why = limits.bars(host=self.artifact_host, signs=self.signs)
        if why is not None:
            return replace(verdict, allowed=False, verdict="barred", code="local_policy", reason=why, would_fit=())
        own_mj = limits.policy.max_energy_mj
        if own_mj is None or not verdict.allowed or (verdict.budget_mj is not None and verdict.budget_mj <= own_mj):
            return verdict
        own = weigh(own_mj)
        if own.code != "over_budget":
            return verdict
        reason = f"{limits.words(own_mj)}; {own.reason}"
        return replace(own, verdict="barred", code="local_policy", reason=reason)

    def _unrunnable(self, device: Row, model: Model, offered: Offer) -> str | None:
        """Return why nothing of `model` can go to `device` and nothing can be made that could, or None."""
        if offered.artifact is not None or self.buildable(model, wanted_formats(device["info"])):
            return None
        return offered.reasons or "the store has none"

    def _alternatives(
        self, predictor: Predictor, device: Row, budget_mj: float, wanted: Model
    ) -> tuple[Alternative, ...]:
        runnable = [model for model in self.catalogue.all() if self.offer(device, model).artifact is not None]
        return would_fit(runnable, predictor, _type(device), budget_mj, wanted)

    def _elsewhere(self, device_id: str, model: Model, budget_mj: float) -> tuple[Elsewhere, ...]:
        others = [(name, kind) for name, kind in self.device_types() if name != device_id]
        known = model.digests | {None}
        rows = self.measurements.of_model(model.name)
        usable = [row for row in rows if row["artifact_sha256"] in known and row["source"] in MEASURED | {SIMULATED}]
        measured = {row["device_id"]: row["energy_mj"] for row in usable}
        return elsewhere(model, self.predictor, others, budget_mj, measured, runs=lambda name: self._runs(name, model))

    def _runs(self, device_id: str, model: Model) -> bool:
        device = self.device(device_id)
        return device is not None and self._unrunnable(device, model, self.offer(device, model)) is None


def _measurement(device: Row, model: Model, case: _Case, row: Row) -> Measurement | None:
    """Return what the very file that the device would get cost there, where that says more than its prediction."""
    artifact = case.offered.artifact
    known = model.digests if artifact is None else {artifact.sha256}
    simulated = bool((device["info"] or {}).get("simulated"))
    if row["artifact_sha256"] not in known | {None} or not _beats(row["source"], case.prediction, simulated=simulated):
        return None
    return Measurement(
        energy_mj=row["energy_mj"],
        source=row["source"],
        p95_ms=row["p95_ms"],
        at=datetime.fromtimestamp(row["at"], UTC),
        samples=row["inferences"] or 0,
    )


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


def _held(device: Row) -> frozenset[str]:
    """Return the SHA-256 of what is on the device already."""
    state = device["state"] or {}
    slots = (state.get("active") or {}, state.get("previous") or {})
    return frozenset(slot["artifact_sha256"] for slot in slots if "artifact_sha256" in slot)


def _kind(device: Row, largest_mb: float) -> tuple[Any, ...]:
    """Return what makes two devices one kind to the gate: board, runtimes, models held, and room where it is scarce."""
    info = device["info"] or {}
    needs = {"disk_free_mb": largest_mb + RESERVE_MB, "ram_mb": COPIES_IN_MEMORY * largest_mb}
    scarce = tuple((name, info[name]) for name, mb in needs.items() if (info.get(name) or mb) < mb)
    runs = json.dumps([info.get("runtimes"), info.get("formats")])
    return _type(device), runs, bool(info.get("simulated")), _held(device), scarce


def _type(device: Row) -> str:
    return (device["info"] or {}).get("device_type") or "unknown"
