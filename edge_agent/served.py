"""The figures of what a model served: counted while it runs, taken by telemetry."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from broker.activity import InputState
from broker.messages import Answer, BudgetState, Latency
from edge_agent.bench import percentile
from edge_agent.modelstore import Held

AVERAGED = 30
"""Inferences in the moving average that is held against the budget."""

JUDGED = 200
"""Labelled answers in the moving top-1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What ran since the last look; `energy_mj` is the mean per inference, `answers` counts labels.

    `inputs` is told where they come from outside of the model's file.
    """

    inferences: int = 0
    latency_ms: Latency | None = None
    energy_mj: float | None = None
    answer: Answer | None = None
    top1_pct: float | None = None
    answers: Counter[str] = field(default_factory=Counter)
    inputs: InputState | None = None


@dataclass(slots=True)
class Figures:
    """Figures of one model; a swap begins new ones.

    `newest` makes the newest answer when somebody asks: its confidence costs more than all that is counted.
    """

    latencies_ms: list[float] = field(default_factory=list)
    energies_mj: list[float] = field(default_factory=list)
    recent_mj: deque[float] = field(default_factory=lambda: deque(maxlen=AVERAGED))
    right: deque[bool] = field(default_factory=lambda: deque(maxlen=JUDGED))
    newest: Callable[[], Answer] | None = None
    answers: Counter[str] = field(default_factory=Counter)
    count: int = 0

    def add(self, wall_s: float, energy_mj: float | None) -> None:
        """Count one inference."""
        self.latencies_ms.append(wall_s * 1_000)
        if energy_mj is not None:
            self.energies_mj.append(energy_mj)
            self.recent_mj.append(energy_mj)
        self.count += 1

    def hear(self, label: str, truth: str | None, newest: Callable[[], Answer]) -> None:
        """Count what it answered."""
        self.newest = newest
        self.answers[label] += 1
        if truth is not None:
            self.right.append(label == truth)

    def taken(self) -> Served:
        """Return what was added since the last call, and begin to count anew."""
        ms, mj, answers = self.latencies_ms, self.energies_mj, self.answers
        self.latencies_ms, self.energies_mj, self.answers = [], [], Counter()
        right = tuple(self.right)
        return Served(
            inferences=len(ms),
            latency_ms=Latency(p50=percentile(ms, 50), p95=percentile(ms, 95), max=max(ms)) if ms else None,
            energy_mj=sum(mj) / len(mj) if mj else None,
            answer=self.newest() if ms and self.newest else None,
            top1_pct=100 * sum(right) / len(right) if right else None,
            answers=answers,
        )

    def against(self, held: Held | None) -> BudgetState | None:
        """Return the newest energies beside the budget of `held`; None when there is neither."""
        recent = tuple(self.recent_mj)
        budget_mj = held.budget_mj if held else None
        if budget_mj is None and not recent:
            return None
        avg_mj = sum(recent) / len(recent) if recent else None
        broken = avg_mj is not None and budget_mj is not None and avg_mj > budget_mj
        return BudgetState(
            energy_mj=budget_mj,
            latest_mj=recent[-1] if recent else None,
            avg_mj=avg_mj,
            status="over_budget" if broken else "ok",
        )
