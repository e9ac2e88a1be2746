"""Chooses models for devices: the most accurate that the gate lets through, or what a plan of the fleet picks from."""

from collections.abc import Sequence
from dataclasses import dataclass

from broker.errors import InvalidError
from controller.gate import Policy, Verdict
from controller.judge import Judge
from controller.models.model import Model
from controller.predict.advice import task_of
from controller.predict.planner import Choice, Place
from controller.storage.store import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What is asked of a model: at least `min_top1_pct`, and `labels` where the catalogue answers several questions."""

    min_top1_pct: float = 0.0
    labels: int | None = None
    policy: Policy = "strict"

    def __post_init__(self) -> None:
        """Refuse an accuracy that is none."""
        if not 0 <= self.min_top1_pct <= 100:  # noqa: PLR2004 - per cent
            raise InvalidError(f"a top-1 of {self.min_top1_pct:g} % is none", hint="from 0 to 100", field="min_top1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The model for one device with the gate's verdict, or neither and the `reason` in words."""

    device_id: str
    device_type: str
    model: Model | None
    verdict: Verdict | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A device that cannot be planned for, and why."""

    device_id: str
    device_type: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chooser:
    """Asks the gate about models for devices, all models that meet `demand`."""

    judge: Judge
    demand: Demand
    models: tuple[Model, ...]

    @classmethod
    def of(cls, judge: Judge, demand: Demand) -> "Chooser":
        """Return a chooser among the trained models that meet `demand`, the most accurate first.

        Raises InvalidError when they answer several questions, so that their accuracies cannot be compared.
        """
        found = [model for model in judge.catalogue.all() if _meets(model, demand)]
        tasks = sorted({(model.labels, task_of(model)) for model in found})
        if len(tasks) > 1:
            raise InvalidError(
                f"the models answer different questions ({', '.join(name for _, name in tasks)}),"
                " so their accuracies cannot be compared",
                hint=f"say which: labels {' or '.join(str(labels) for labels, _ in tasks)}",
                field="labels",
            )
        found.sort(key=lambda model: (-(model.top1_pct or 0.0), model.gmacs, model.name))
        return cls(judge=judge, demand=demand, models=tuple(found))

    def best(self, device: Row, budget_mj: float) -> Chosen:
        """Return the most accurate model that the gate lets onto `device` within `budget_mj`.

        Raises InvalidError for a budget that is none.
        """
        refused = []
        for model in self._readable(device):
            verdict = self._ask(device, model, budget_mj)
            if verdict.allowed:
                return _chosen(device, model, verdict, verdict.reason)
            refused.append((model, verdict))
        return _chosen(device, None, None, self._refusal(refused, budget_mj))

    def place(self, device: Row, rate_hz: float) -> Place | LeftOut:
        """Return what `device` may run, counted by the upper end (`strict`) or the figure, or why nothing."""
        readable = self._readable(device)
        counted = [(model, self._counted(self._ask(device, model, None))) for model in readable]
        choices = tuple(
            Choice(model=model.name, top1_pct=model.top1_pct or 0.0, energy_mj=energy_mj)
            for model, energy_mj in counted
            if energy_mj is not None
        )
        if choices:
            return Place(device_id=device["id"], rate_hz=rate_hz, choices=choices)
        reason = "no energy is known or predicted: measure first" if readable else self._nothing()
        return LeftOut(device_id=device["id"], device_type=type_of(device), reason=reason)

    def _readable(self, device: Row) -> list[Model]:
        return [model for model in self.models if self.judge.offer(device, model).artifact is not None]

    def _ask(self, device: Row, model: Model, budget_mj: float | None) -> Verdict:
        judgement = self.judge.judge(
            device, model.name, budget_mj=budget_mj, policy=self.demand.policy, forced_reason=None
        )
        return judgement.verdict

    def _counted(self, verdict: Verdict) -> float | None:
        trusted = self.demand.policy == "expected" and verdict.support in {"high", "proxy"}
        return verdict.energy_mj if trusted else verdict.high_mj

    def _refusal(self, refused: Sequence[tuple[Model, Verdict]], budget_mj: float) -> str:
        known = [(verdict.high_mj, model.name) for model, verdict in refused if verdict.high_mj is not None]
        if not refused:
            return self._nothing()
        if not known:
            return refused[0][1].reason
        high_mj, name = min(known)
        return (
            f"none of {len(refused)} models with at least {self.demand.min_top1_pct:g} % fits {plain(budget_mj)} mJ;"
            f" the cheapest, {name}, takes up to {plain(high_mj)} mJ"
        )

    def _nothing(self) -> str:
        return f"no trained model that this device reads is known to reach {self.demand.min_top1_pct:g} %"


def plain(value: float) -> str:
    """Return three digits or all before the point, never an exponent."""
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}"  # noqa: PLR2004 - where three digits end


def type_of(device: Row) -> str:
    """Return a device's type, `unknown` before it said so."""
    return (device["info"] or {}).get("device_type") or "unknown"


def _meets(model: Model, demand: Demand) -> bool:
    accurate = model.top1_pct is not None and model.top1_pct >= demand.min_top1_pct
    return model.trained is not False and accurate and demand.labels in {None, model.labels}


def _chosen(device: Row, model: Model | None, verdict: Verdict | None, reason: str) -> Chosen:
    return Chosen(device_id=device["id"], device_type=type_of(device), model=model, verdict=verdict, reason=reason)
