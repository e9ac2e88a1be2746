"""What a device can be calibrated with: models of the store that it runs, and well-known networks made for it."""

from dataclasses import dataclass
from importlib.util import find_spec

from broker.errors import ArtifactError, EdgeWattError, NotFoundError
from controller.judge import Judge
from controller.models.offer import wanted_formats
from controller.predict.features import Features
from controller.storage.store import Row
from controller.workshop.jobs import Job, JobState
from controller.workshop.orders import UNTRAINED, Orders
from controller.workshop.workshop import Workshop

WHO = "calibration"

NEEDED = ("torch", "timm")
"""What the workshop makes a network with; without it only what is stored can be run."""

MAX_PARAMS_M = 12.0
"""Well-known networks above it would cost a small board minutes and say little more of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A network that could be run, and what a predictor is told about it."""

    name: str
    features: Features


@dataclass(frozen=True, slots=True, kw_only=True)
class Subjects:
    """Where a calibration's models come from."""

    judge: Judge
    workshop: Workshop
    orders: Orders

    def of(self, device: Row) -> list[Subject]:
        """Return what `device` could run: what is stored, then what can be made; energy needs no trained weights."""
        stored = [
            Subject(name=model.name, features=model.features)
            for model in self.judge.catalogue.all()
            if self.judge.offer(device, model).artifact is not None
        ]
        if not wanted_formats(device["info"]) or any(find_spec(name) is None for name in NEEDED):
            return stored
        there = {subject.name for subject in stored}
        made = [
            Subject(name=listed.name + UNTRAINED, features=listed.features)
            for listed in self.orders.listed.values()
            if listed.popular and listed.params_m <= MAX_PARAMS_M
        ]
        return stored + [
            subject for subject in made if not {subject.name, subject.name.removesuffix(UNTRAINED)} & there
        ]

    def making(self, name: str, device: Row) -> str | None:
        """Return how the making of `name` stands, begun now if need be; None when it is in the store.

        Raises ArtifactError with the reason when it could not be made.
        """
        try:
            if self.judge.model(name).stored:
                return None
        except NotFoundError:
            if not name.endswith(UNTRAINED):
                raise
        form = wanted_formats(device["info"])[0].format
        job = self.workshop.ask(self.orders.order(name, form), WHO)
        if job.state in (JobState.FAILED, JobState.CANCELLED):
            raise ArtifactError(f"{name} could not be made: {job.message}", code=job.code or "", hint=job.hint or "")
        return _standing(name, job) if job.open else None

    def unmade(self, name: str, device: Row) -> str | None:
        """Return how the making of `name` stands, None when there is nothing to wait for, whatever the reason."""
        try:
            return self.making(name, device)
        except EdgeWattError:
            return None


def _standing(name: str, job: Job) -> str:
    return f"{name} is being made: {job.step or job.state.value}"
