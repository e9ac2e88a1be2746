"""Predicts energy per inference for a device type: routes to a board, widens for what it is not, says it in words."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from broker.energy import mwh_from_mj
from broker.errors import ArtifactError
from controller.models.shipped import ARTIFACTS
from controller.predict.board import BoardPredictor, Figure
from controller.predict.boards import UNIFIED, Route, plain, route
from controller.predict.correction import Correction, spoken
from controller.predict.features import Features
from controller.predict.prediction import MEASURE, Prediction, Support
from controller.predict.transfer import Transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class _Files:
    predictor: str = "energy_predictor.json"
    thresholds: str = "energy_thresholds.json"
    metadata: str = "device_specific_metadata.json"
    manifest: str = "manifest.json"


FILES = _Files()

MOST_KNOWN = 20_000
"""So many answers are kept: some 15 MB, all networks of the catalogue on every type of device."""

MOST_NEWS = 5_000
"""More at once are no catalogue, and would put it out."""

ADVICE = {
    "EXCELLENT": "among the cheapest quarter of what was measured on this board: fit for battery or solar power",
    "GOOD": "cheaper than most of what was measured on this board: fit for continuous use",
    "ACCEPTABLE": "dearer than most of what was measured on this board: mind heat and battery, or infer less often",
    "HIGH": "among the dearest quarter of what was measured on this board: choose a smaller model or infer rarely",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What devices of one type taught about it: a correction of what other boards foretell, and on how many devices."""

    correction: Correction
    devices: int

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return what `document` describes."""
        return cls(correction=Correction.from_document(document["correction"]), devices=document["devices"])


class FleetPredictor:
    """Every board's predictor behind one router; what it says never changes, so any thread may ask.

    Another version is another predictor, so what is known of one's answers ends with it.
    """

    def __init__(self, document: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> None:
        """Take what training wrote; `metadata` is only passed on."""
        self.document = document
        self._metadata = dict(metadata or {})
        self._learned = {name: Learned.from_document(part) for name, part in document.get("learned", {}).items()}
        self._known: dict[tuple[str, Features], Prediction] = {}
        self._boards = {name: BoardPredictor.from_document(part) for name, part in document["boards"].items()}

    @classmethod
    def load(cls, folder: Path = ARTIFACTS) -> Self:
        """Read the predictor in `folder`; ArtifactError when a file is missing or not the one that training wrote."""
        manifest = json.loads(_read(folder / FILES.manifest))
        documents = []
        for name in (FILES.predictor, FILES.metadata):
            content = _read(folder / name)
            if hashlib.sha256(content).hexdigest() != manifest.get(name):
                raise ArtifactError(
                    f"{folder / name} is not the file that training wrote", hint="install EdgeWatt again or train again"
                )
            documents.append(json.loads(content))
        return cls(*documents)

    def predict(self, features: Features, device_type: str) -> Prediction:
        """Return what `features` costs a device of `device_type`, at 95 %; low support for an unknown type.

        With a latency measured on the device the answer is its power times that latency (`basis: latency`).
        """
        return self.predict_many([features], device_type)[0]

    def predict_many(self, models: Sequence[Features], device_type: str) -> list[Prediction]:
        """Return a prediction for each of `models`, worked out together; the catalogue is asked for again and again."""
        answers = [self._known.get((device_type, model)) for model in models]
        new = [i for i, answer in enumerate(answers) if answer is None]
        if len(self._known) + len(new) > MOST_KNOWN:
            self._known.clear()
        for i, said in zip(new, self._worked_out([models[i] for i in new], device_type), strict=True):
            answers[i] = said
            if len(new) <= MOST_NEWS and models[i].latency_avg_s is None:
                self._known[device_type, models[i]] = said
        return [answer for answer in answers if answer is not None]

    def _worked_out(self, models: Sequence[Features], device_type: str) -> list[Prediction]:
        learned = self._learned.get(plain(device_type))
        if learned is None:
            return self._from_boards(models, device_type)
        said = self._from_boards(models, learned.correction.prior_type)
        return [_taught(before, model, learned) for before, model in zip(said, models, strict=True)]

    def unlearned(self, device_type: str) -> "FleetPredictor":
        """Return the same predictor without what devices of `device_type` taught."""
        kept = {name: part for name, part in self.document.get("learned", {}).items() if name != plain(device_type)}
        return FleetPredictor({**self.document, "learned": kept}, self._metadata)

    def _from_boards(self, models: Sequence[Features], device_type: str) -> list[Prediction]:
        way = self.way(device_type)
        if way is UNIFIED:
            return self._unified(models)
        if way.board is None:
            return [_nothing(way)] * len(models)
        board = self._boards[way.board]
        latencies = [_latency_s(model) for model in models]
        bare = iter(board.from_architecture([m for m, s in zip(models, latencies, strict=True) if s is None]))
        return [
            self._say(way, board, next(bare) if latency_s is None else board.from_latency(model, latency_s), latency_s)
            for model, latency_s in zip(models, latencies, strict=True)
        ]

    def way(self, device_type: str) -> Route:
        """Return where predictions for `device_type` come from: its own rows where training had any."""
        name = plain(device_type)
        return Route(device_type=name, board=name, support="high") if name in self._boards else route(device_type)

    def transfer(self, device_type: str) -> Transfer:
        """Return how a board of `device_type` may differ from its prior: a sibling's bias is that between versions."""
        way = self.way(device_type)
        if way.margin == "runtime_version":
            return Transfer(bias=self.document["margins"][way.margin])
        return Transfer()

    def thresholds(self) -> dict[str, dict[str, Any]]:
        """Return the percentiles behind the categories for each device type: mJ per inference and mWh per 500."""
        answer = {}
        for name in (*self._boards, "raspberry_pi_5", "jetson_nano_2gb"):
            way = route(name)
            percentiles = self.document["boards"][way.board]["percentiles_mj"]
            answer[name] = {
                "energy_mj": percentiles,
                "energy_mwh": {p: round(mwh_from_mj(value), 4) for p, value in percentiles.items()},
                "board": way.board,
                "support": way.support,
            }
        return answer

    def metadata(self) -> dict[str, Any]:
        """Return how each predictor was trained, on what, and how well it does on what it has not seen."""
        return self._metadata

    def _unified(self, models: Sequence[Features]) -> list[Prediction]:
        """Return the range over all boards: their mean, from the lowest low to the highest high, and a margin."""
        by_board = [self._from_boards(models, name) for name in self._boards]
        return [self._over_all(answers) for answers in zip(*by_board, strict=True)]

    def _over_all(self, answers: Sequence[Prediction]) -> Prediction:
        margin = math.exp(self.document["margins"][UNIFIED.margin])
        energies = [a.energy_mj for a in answers if a.energy_mj]
        return Prediction(
            energy_mj=math.exp(sum(map(math.log, energies)) / len(energies)),
            low_mj=min(a.low_mj for a in answers if a.low_mj) / margin,
            high_mj=max(a.high_mj for a in answers if a.high_mj) * margin,
            support="low",
            reasons=(UNIFIED.reason, *answers[0].reasons),
            far=answers[0].far,
            predictor=f"unified@{self.document['version']}",
            basis=answers[0].basis,
            recommendation=MEASURE,
        )

    def _say(self, way: Route, board: BoardPredictor, figure: Figure, latency_s: float | None) -> Prediction:
        margin = self.document["margins"][way.margin] if way.margin else 0.0
        support: Support = "low" if figure.far else way.support
        category = board.category(figure.energy_mj)
        advice = ADVICE[category]
        return Prediction(
            energy_mj=figure.energy_mj,
            low_mj=figure.energy_mj * math.exp(-figure.half_low - margin),
            high_mj=figure.energy_mj * math.exp(figure.half_high + margin),
            support=support,
            reasons=(way.reason, *figure.reasons) if way.reason else figure.reasons,
            predictor=f"{way.device_type}@{self.document['version']}",
            basis="architecture" if latency_s is None else "latency",
            category=category,
            recommendation=f"{advice}; {MEASURE}" if support == "low" else advice,
            mape_pct=None if way.margin else figure.mape_pct,
            far=figure.far,
        )


def _taught(before: Prediction, model: Features, learned: Learned) -> Prediction:
    """Return `before` as the devices of its type correct it: another device of the type stands in for each, no more."""
    some = f"learned on {learned.devices} {'devices' if learned.devices > 1 else 'device'} of this type"
    after = spoken(before, model, learned.correction, by="fleet", advice=f"{some}; calibrate this one to be surer")
    return replace(after, support="proxy") if after.support == "high" != before.support else after


def _latency_s(model: Features) -> float | None:
    if model.latency_avg_s is None and model.throughput_iter_per_s is not None:
        return 1 / model.throughput_iter_per_s
    return model.latency_avg_s


def _nothing(way: Route) -> Prediction:
    return Prediction(
        energy_mj=None,
        low_mj=None,
        high_mj=None,
        support="none",
        reasons=(way.reason,),
        predictor="none",
        recommendation=MEASURE.replace("before relying on this figure", "first"),
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror}", hint="install EdgeWatt again") from None
