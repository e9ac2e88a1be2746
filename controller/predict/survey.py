"""Lays out what is known of all models on one type of device: accuracy, energy, latency, and the frontier of them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from broker.energy import MEASURED
from controller.models.model import Model
from controller.predict.advice import task_of
from controller.predict.features import Features
from controller.predict.latency import implied_ms
from controller.predict.pareto import Candidate, Front, front
from controller.predict.prediction import Prediction, Predictor
from controller.predict.published import LABELS, Network, distinct, measured

PREDICTED = "predicted"
IMPLIED = "implied by the predicted energy"
LITERATURE = "measured, MLPerf Inference v1.0–v3.0, TFLite"

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A model on a type of device, where its figures are from, and what the predictor said; `in_store` to deploy."""

    candidate: Candidate
    prediction: Prediction
    family: str
    in_store: bool
    energy_source: str
    latency_source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Every model that was asked for, and who of them is on the frontier."""

    entries: tuple[Entry, ...]
    front: Front


def survey(
    models: Sequence[Model],
    predictor: Predictor,
    device_type: str,
    rows: Sequence[Row],
    *,
    published: bool = False,
) -> Survey:
    """Return what `models` cost on devices of `device_type`; untrained ones have no accuracy.

    `rows` are stored measurements on such devices: what a meter measured beats what is predicted, what a device
    modelled or simulated does not. With `published` the networks of the literature come with them.
    """
    asked = [_of_store(model) for model in models]
    known = {each.name for each in asked}
    there = _measured_there(device_type) if published else {}
    asked += [_of_literature(each) for each in distinct(set(there)) if each.name not in known] if published else []
    features = [each.features for each in asked]
    said = predictor.predict_many(features, device_type)
    implied = implied_ms(features, said, predictor, device_type)
    here = _measured_here(rows)
    entries = [
        _entry(each, prediction, latency_ms, (here if each.name in known else there).get(each.name))
        for each, prediction, latency_ms in zip(asked, said, implied, strict=True)
    ]
    return Survey(entries=tuple(entries), front=front([entry.candidate for entry in entries]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    name: str
    family: str
    task: str
    top1_pct: float | None
    in_store: bool
    features: Features


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    energy_mj: float
    low_mj: float
    high_mj: float
    latency_ms: float | None
    source: str


def _of_store(model: Model) -> _Asked:
    return _Asked(
        name=model.name,
        family="",
        task=task_of(model),
        top1_pct=None if model.trained is False else model.top1_pct,
        in_store=model.stored,
        features=model.features,
    )


def _of_literature(network: Network) -> _Asked:
    return _Asked(
        name=network.name,
        family=network.family,
        task=f"{LABELS} labels",
        top1_pct=network.top1_pct,
        in_store=False,
        features=network.features,
    )


def _entry(asked: _Asked, said: Prediction, implied_ms: float | None, found: _Found | None) -> Entry:
    timed_ms = found.latency_ms if found else None
    candidate = Candidate(
        name=asked.name,
        task=asked.task,
        top1_pct=asked.top1_pct,
        energy_mj=found.energy_mj if found else said.energy_mj,
        low_mj=found.low_mj if found else said.low_mj,
        high_mj=found.high_mj if found else said.high_mj,
        latency_ms=implied_ms if timed_ms is None else timed_ms,
    )
    implied = IMPLIED if implied_ms is not None else ""
    return Entry(
        candidate=candidate,
        prediction=said,
        family=asked.family,
        in_store=asked.in_store,
        energy_source=found.source if found else PREDICTED if said.energy_mj is not None else "",
        latency_source=found.source if found and timed_ms is not None else implied,
    )


def _measured_here(rows: Sequence[Row]) -> dict[str, _Found]:
    """Return medians over the devices that ran a model, by its name; only what a meter said."""
    by_model: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["source"] in MEASURED:
            by_model[row["model"]].append(row)
    return {name: _together(found) for name, found in by_model.items()}


def _together(rows: Sequence[Row]) -> _Found:
    energies = [row["energy_mj"] for row in rows]
    latencies = [row["p95_ms"] for row in rows if row["p95_ms"]]
    return _Found(
        energy_mj=median(energies),
        low_mj=min(energies),
        high_mj=max(energies),
        latency_ms=median(latencies) if latencies else None,
        source=str(rows[0]["source"]),
    )


def _measured_there(board: str) -> dict[str, _Found]:
    return {
        name: _Found(
            energy_mj=its.energy_mj,
            low_mj=its.low_mj,
            high_mj=its.high_mj,
            latency_ms=its.latency_ms,
            source=LITERATURE,
        )
        for name, its in measured(board).items()
    }
