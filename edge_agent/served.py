"""The figures of what a model served: counted while it runs, taken by telemetry."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from broker.activity import InputState
from broker.messages import Answer, BudgetState, Latency
from edge_agent.bench import percentile
from edge_agent.modelstore import Held
from edge_agent.runtimes.facts import ModelFacts
from edge_agent.runtimes.session import Ran, Session

AVERAGED = 30
"""Inferences in the moving average that is held against the budget."""

JUDGED = 200
"""Labelled answers in the moving top-1."""

NO_ANSWER = -1

Noted = tuple[float, float | None, int, int | None]
"""One inference: its s and mJ, the index of its answer and the number of its sample."""


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


class Figures:
    """Figures of one model; a swap begins new ones.

    An inference is only noted: what follows from many of them is worked out when somebody asks, and so is the
    confidence of the newest answer.
    """

    def __init__(self, session: Session | None = None, energy_mj: float | None = None) -> None:
        """Count nothing yet; `energy_mj` is what the probe of `session` showed."""
        self.count = 0
        self._labelled = session if session is not None and session.facts.labels else None
        self._noted: list[Noted] = []
        self._newest: Any = None
        self._recent_mj: tuple[float, ...] = () if energy_mj is None else (energy_mj,)
        self._right: tuple[bool, ...] = ()

    def note(self, ran: Ran, energy_mj: float | None, sample: int | None) -> None:
        """Count an inference of the sample of that number, None for an input from outside."""
        output, wall_s = ran
        index = NO_ANSWER if self._labelled is None else self._labelled.best(output)
        self._noted.append((wall_s, energy_mj, index, sample))
        self._newest = output
        self.count += 1

    def taken(self) -> Served:
        """Return what was added since the last call, and begin to count anew."""
        self._recent_mj = self._recent()
        noted, self._noted = self._noted, []
        ms = [wall_s * 1_000 for wall_s, _, _, _ in noted]
        mj = [energy_mj for _, energy_mj, _, _ in noted if energy_mj is not None]
        session = self._labelled
        answers = Counter() if session is None else self._judge(noted, session.facts)
        return Served(
            inferences=len(ms),
            latency_ms=Latency(p50=percentile(ms, 50), p95=percentile(ms, 95), max=max(ms)) if ms else None,
            energy_mj=sum(mj) / len(mj) if mj else None,
            answer=answer(session, self._newest, noted[-1][-1]) if noted and session is not None else None,
            top1_pct=100 * sum(self._right) / len(self._right) if self._right else None,
            answers=answers,
        )

    def against(self, held: Held | None) -> BudgetState | None:
        """Return the newest energies beside the budget of `held`; None when there is neither."""
        recent = self._recent()
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

    def _recent(self) -> tuple[float, ...]:
        """Return the newest energies, the newest last; the thread that serves may add one meanwhile."""
        newest = islice((mj for _, mj, _, _ in reversed(self._noted) if mj is not None), AVERAGED)
        return (*self._recent_mj, *reversed(tuple(newest)))[-AVERAGED:]

    def _judge(self, noted: list[Noted], facts: ModelFacts) -> Counter[str]:
        """Hold the answers against the truth where it is known; return how often each label was one."""
        answers: Counter[str] = Counter()
        right = list(self._right)
        for _, _, index, sample in noted:
            label, truth = label_of(facts, index), truth_of(facts, sample)
            answers[label] += 1
            if truth is not None:
                right.append(label == truth)
        self._right = tuple(right[-JUDGED:])
        return answers


def answer(session: Session, output: Any, sample: int | None) -> Answer:
    """Return the answer of a model with labels in words."""
    index, confidence = session.top(output)
    return Answer(
        label=label_of(session.facts, index),
        confidence=round(confidence, 4),
        truth=truth_of(session.facts, sample),
    )


def label_of(facts: ModelFacts, index: int) -> str:
    """Return the name of an answer, its number where it has none."""
    return facts.labels[index] if index < len(facts.labels) else str(index)


def truth_of(facts: ModelFacts, sample: int | None) -> str | None:
    """Return what the sample of that number shows; None where nobody knows."""
    return facts.samples[sample % len(facts.samples)].truth if sample is not None and facts.samples else None
