"""Runs the active model at its rate in a thread of its own, and keeps the figures of the newest inferences."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock, Thread

from broker.energy import Source
from broker.errors import ArtifactError, ConflictError
from broker.messages import Answer, BudgetState, Latency
from edge_agent.bench import percentile
from edge_agent.modelstore import Held
from edge_agent.power.meter import Meter
from edge_agent.runtimes.session import Ran, Session

AVERAGED = 30
"""Inferences in the moving average that is held against the budget."""

JUDGED = 200
"""Labelled answers in the moving top-1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What ran since the last look; `energy_mj` is the mean per inference."""

    inferences: int = 0
    latency_ms: Latency | None = None
    energy_mj: float | None = None
    answer: Answer | None = None
    top1_pct: float | None = None


@dataclass(slots=True)
class _Figures:
    """Figures of one model; a swap begins new ones."""

    latencies_ms: list[float] = field(default_factory=list)
    energies_mj: list[float] = field(default_factory=list)
    recent_mj: deque[float] = field(default_factory=lambda: deque(maxlen=AVERAGED))
    right: deque[bool] = field(default_factory=lambda: deque(maxlen=JUDGED))
    answer: Answer | None = None
    count: int = 0


class Server:
    """The thread that serves; every method may be called from any thread."""

    def __init__(self, meter: Meter, *, rate: float, on_fault: Callable[[str], None]) -> None:
        """Serve nothing yet; `rate` is inferences per second, `on_fault` hears when an inference fails."""
        self.turn = Lock()
        self.rate = rate
        self.held: Held | None = None
        self.session: Session | None = None
        self._meter = meter
        self._on_fault = on_fault
        self._figures = _Figures()
        self._wanted = True
        self._paused = False
        self._wake = Event()
        self._ended = False
        self._thread = Thread(target=self._serve, name="serving", daemon=True)
        self._thread.start()

    @property
    def active(self) -> bool:
        """Whether inferences run."""
        return self._wanted and self.session is not None

    @property
    def source(self) -> Source | None:
        """Where the energies come from."""
        return self._meter.sensor.source if self._meter.sensor else None

    def swap(self, session: Session | None, held: Held | None, *, energy_mj: float | None = None) -> None:
        """Serve `session` from the next inference on; `energy_mj` is what its probe showed."""
        with self.turn:
            self.session, self.held = session, held
            self._figures = _Figures()
            if energy_mj is not None:
                self._figures.recent_mj.append(energy_mj)
        self._wake.set()

    def renew(self, held: Held) -> None:
        """Go on with the same session under another deployment and budget."""
        self.held = held

    def want(self, running: bool) -> None:
        """Run or rest."""
        self._wanted = running
        self._wake.set()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Begin no inference of the running model in this context, so that a benchmark measures its own."""
        self._paused = True
        try:
            with self.turn:
                pass  # the one at work has ended now
            yield
        finally:
            self._paused = False
            self._wake.set()

    def set_rate(self, rate: float) -> None:
        """Change the inferences per second."""
        self.rate = rate
        self._wake.set()

    def infer(self, values: Sequence[float] | None) -> tuple[Ran, Answer | None, float | None]:
        """Run one input now, or the next sample; return it with its answer and energy in mJ.

        Raises ConflictError (`no_model`), InvalidError for an input that does not fit.
        """
        with self.turn:
            if self.session is None:
                raise ConflictError("no model is active", code="no_model", hint="deploy one first")
            self._meter.begin()
            ran = self.session.run(self._figures.count) if values is None else self.session.infer(values)
            energy_mj = self._meter.end(ran.wall_s)
            return ran, _answer(self.session, ran, self._figures.count if values is None else None), energy_mj

    def take(self) -> Served:
        """Return what ran since the last call, and begin to count anew."""
        with self.turn:
            figures = self._figures
            ms, mj = figures.latencies_ms, figures.energies_mj
            figures.latencies_ms, figures.energies_mj = [], []
        right = figures.right
        return Served(
            inferences=len(ms),
            latency_ms=Latency(p50=percentile(ms, 50), p95=percentile(ms, 95), max=max(ms)) if ms else None,
            energy_mj=sum(mj) / len(mj) if mj else None,
            answer=figures.answer if ms else None,
            top1_pct=100 * sum(right) / len(right) if right else None,
        )

    def budget(self) -> BudgetState | None:
        """Return the running model's energy against its budget; None when there is neither."""
        held, recent = self.held, tuple(self._figures.recent_mj)
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
            source=self.source if recent else None,
        )

    def close(self) -> None:
        """End the thread."""
        self._ended = True
        self._wake.set()
        self._thread.join()

    def _serve(self) -> None:
        due = time.monotonic()
        while not self._ended:
            if not self.active or self._paused:
                self._wake.wait()
                self._wake.clear()
                due = time.monotonic()
                continue
            pause = due - time.monotonic()
            if pause > 0 and self._wake.wait(pause):
                self._wake.clear()
                due = min(due, time.monotonic() + 1 / self.rate)
                continue
            due = max(due + 1 / self.rate, time.monotonic())
            self._once()

    def _once(self) -> None:
        try:
            with self.turn:
                if self.session is not None:
                    self._record(self.session)
        except ArtifactError as error:
            self._on_fault(error.message)

    def _record(self, session: Session) -> None:
        figures = self._figures
        self._meter.begin()
        ran = session.run(figures.count)
        energy_mj = self._meter.end(ran.wall_s)
        figures.latencies_ms.append(ran.wall_s * 1_000)
        if energy_mj is not None:
            figures.energies_mj.append(energy_mj)
            figures.recent_mj.append(energy_mj)
        figures.answer = _answer(session, ran, figures.count)
        if figures.answer is not None and figures.answer.truth is not None:
            figures.right.append(figures.answer.label == figures.answer.truth)
        figures.count += 1


def _answer(session: Session, ran: Ran, sample: int | None) -> Answer | None:
    """Return the answer in words; None for a model without labels."""
    facts = session.facts
    if not facts.labels:
        return None
    index, confidence = session.top(ran.output)
    label = facts.labels[index] if index < len(facts.labels) else str(index)
    truth = facts.samples[sample % len(facts.samples)].truth if sample is not None and facts.samples else None
    return Answer(label=label, confidence=round(confidence, 4), truth=truth)
