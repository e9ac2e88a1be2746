"""Lets what the fleet measured make a new predictor, which takes over when it foretells held-out runs better."""

import logging
import statistics
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from broker.errors import EdgeWattError
from controller.feedback.calibration import FEWEST_RUNS
from controller.feedback.contest import FEWEST, held_out_error_percent, mape_percent, takes_over, telling
from controller.feedback.ledger import Entry
from controller.logs import Kind
from controller.predict.answering import Answering
from controller.predict.boards import UNIFIED, plain
from controller.predict.calibrate import Run, calibrate
from controller.predict.features import Features
from controller.predict.versions import SHIPPED
from controller.service import Service

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 60.0
"""How soon a version that somebody chose answers, and how often the ledger is asked for something new."""

REPEATABLE_PERCENT = 5.0
"""What a measurement differs by when it is repeated (2 to 5 % between MLPerf's rounds): nobody errs by less."""

KIND: Kind = "predictor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What the devices of one type measured: a run for each model, the median over `devices`."""

    device_type: str
    runs: tuple[Run, ...]
    devices: int


@dataclass(slots=True, kw_only=True)
class Succession:
    """Who answers next; call `tick` inside a transaction."""

    service: Service
    answering: Answering
    _looked_at: float = 0.0
    _heard: dict[str, int] = field(default_factory=dict)

    def tick(self, at: float) -> None:
        """Take the version that somebody chose, and hear what the fleet has measured since."""
        if 0 <= at - self._looked_at < LOOK_EVERY_S:
            return
        if not self._looked_at:
            self._greet(at)
        self._looked_at = at
        self.take(at)
        for device_type, newest in self.service.bookkeeping.book.measured_types().items():
            if self._heard.get(device_type) != newest:
                self._heard[device_type] = newest
                self.learn(device_type, at)

    def take(self, at: float) -> None:
        """Let the chosen version answer, and say so; one that is damaged is named and does not."""
        try:
            before = self.answering.refresh()
        except EdgeWattError as error:
            self._tell(f"predictor {self.answering.versions.active} cannot answer: {error.message}", at)
            return
        if before is not None:
            text = f"predictor {self.answering.id} answers, {before} before"
            self._tell(text, at, self.answering.versions.chosen_by, before=before)

    def learn(self, device_type: str, at: float) -> None:
        """Fit a challenger to what devices of `device_type` measured; it takes over when it is better."""
        found = self.service.bookkeeping.book.entries(device_type=device_type)
        entries = [entry for entry in found if entry.counts_as_truth]
        if sum(entry.at > self.answering.versions.chosen_at for entry in entries) < FEWEST:
            return
        champion = self.answering.current
        prior = champion.unlearned(device_type)
        lesson = self._lesson(device_type, entries)
        told = telling(prior, device_type, [run.features for run in lesson.runs], FEWEST_RUNS)
        runs = [run for run, tells in zip(lesson.runs, told, strict=True) if tells]
        if len(runs) < FEWEST:
            return
        said = champion.predict_many([run.features for run in runs], device_type)
        if all(prediction.energy_mj is None for prediction in said):
            said = champion.predict_many([run.features for run in runs], UNIFIED.device_type)
        before_percent = mape_percent([prediction.energy_mj for prediction in said], runs)
        after_percent = held_out_error_percent(prior, device_type, runs)
        right = before_percent is not None and before_percent < REPEATABLE_PERCENT
        if right or not takes_over(before_percent, after_percent, len(runs)):
            return
        facts: dict[str, Any] = {"runs": len(runs), "devices": lesson.devices}
        facts |= {"before_percent": before_percent, "after_percent": after_percent}
        self._succeed(device_type, runs, facts, at)

    def _greet(self, at: float) -> None:
        """Say who answers when it was chosen while no controller ran."""
        before = self.service.store.remembered(KIND) or SHIPPED
        if before != self.answering.id:
            text = f"predictor {self.answering.id} answers, {before} before"
            self._tell(text, at, self.answering.versions.chosen_by, before=before)

    def _succeed(self, device_type: str, runs: Sequence[Run], facts: dict[str, Any], at: float) -> None:
        from controller.predict.publish import amend  # noqa: PLC0415 - scikit-learn, which a start does not wait for

        versions, champion = self.answering.versions, self.answering.current
        correction = calibrate(champion.unlearned(device_type), device_type, runs)
        part = {"correction": correction.document, "devices": facts["devices"]}
        learned = champion.document.get("learned", {}) | {plain(device_type): part}
        about = champion.metadata().get("learned", {}) | {plain(device_type): facts}
        trained_at = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
        try:
            versions.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=versions.folder, prefix=".learning") as coming:
                folder = Path(coming) / "version"
                document = {**champion.document, "learned": learned}
                amend(versions.active_folder(), document, folder, trained_at=trained_at, learned=about)
                versions.use(versions.add(folder))
        except (OSError, EdgeWattError) as error:
            self._tell(f"what {device_type} devices taught could not be kept: {error}", at)
            return
        before = self.answering.refresh()
        text = (
            f"predictor {self.answering.id} answers, {before} before: {facts['runs']} models measured on"
            f" {facts['devices']} {device_type}, error {facts['before_percent']:.1f} % before,"
            f" {facts['after_percent']:.1f} % on held-out runs after"
        )
        self._tell(text, at, before=before, device_type=device_type, **facts)

    def _lesson(self, device_type: str, entries: Sequence[Entry]) -> Lesson:
        """Return the newest run of each model on each device as it is in the catalogue, all from one kind of meter."""
        newest: dict[tuple[str, str], Entry] = {}
        for entry in entries:
            if entry.source == entries[0].source:
                newest.setdefault((entry.device_id, entry.model), entry)
        runs, devices = [], set()
        for name in sorted({model for _, model in newest}):
            own = [entry for (_, model), entry in newest.items() if model == name]
            features, own = self._known(name, own)
            if features is not None and own:
                runs.append(Run(features, statistics.median(entry.actual_mj for entry in own)))
                devices |= {entry.device_id for entry in own}
        return Lesson(device_type=device_type, runs=tuple(runs), devices=len(devices))

    def _known(self, name: str, entries: Iterable[Entry]) -> tuple[Features | None, list[Entry]]:
        try:
            model = self.service.judge.model(name)
        except EdgeWattError:
            return None, []  # no longer in the catalogue
        return model.features, [entry for entry in entries if entry.artifact_sha256 in (None, model.artifact_sha256)]

    def _tell(self, text: str, at: float, who: str = "controller", **facts: Any) -> None:
        logger.info("%s", text)
        self.service.store.add_event(at, KIND, text, who=who, facts={"answers": self.answering.id} | facts)
        self.service.store.remember(KIND, self.answering.id)
