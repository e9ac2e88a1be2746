"""Runs the active model at its rate in a thread of its own, on its samples or on what a source of inputs brings."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from threading import Event, Lock, Thread
from typing import Any

from broker.activity import InputState
from broker.energy import Source
from broker.errors import ArtifactError, ConflictError, EdgeWattError
from broker.messages import Answer, BudgetState
from edge_agent.inputs.source import STRONGEST, Inputs, Item, Outcome, Ranked
from edge_agent.modelstore import Held
from edge_agent.power.meter import Meter
from edge_agent.runtimes.facts import ModelFacts
from edge_agent.runtimes.session import Ran, Session
from edge_agent.served import Figures, Served

TOLD_LABELS = 5
"""Labels that telemetry counts by name; the others are counted together."""


class Server:
    """The thread that serves; every method may be called from any thread."""

    def __init__(
        self, meter: Meter, *, rate: float, on_fault: Callable[[str], None], inputs: Inputs | None = None
    ) -> None:
        """Serve nothing yet; `rate` is the most inferences per second, `on_fault` hears when one fails.

        Without `inputs` a model runs the samples in its file.
        """
        self.turn = Lock()
        self.rate = rate
        self.held: Held | None = None
        self.session: Session | None = None
        self._meter = meter
        self._on_fault = on_fault
        self._inputs = inputs
        self._refused = 0
        self._figures = Figures()
        self._wanted = True
        self._paused = False
        self._wake = Event()
        self._ended = False
        self._thread = Thread(target=self._serve, name="serving", daemon=True)
        if inputs is not None:
            inputs.open(self)
        self._thread.start()

    @property
    def active(self) -> bool:
        """Whether inferences run."""
        return self._wanted and self.session is not None

    @property
    def idle(self) -> EdgeWattError | None:
        """Why nothing is served now."""
        if self._ended:
            return ConflictError("the agent stops", code="stopping", hint="ask again when it is back")
        if self.session is None:
            return ConflictError("no model is active", code="no_model", hint="deploy one first")
        if not self._wanted:
            return ConflictError("the model was stopped", code="stopped", hint="`edgewatt devices start` it")
        if self._paused:
            return ConflictError("a benchmark is measuring", code="measuring", hint="ask again in a minute")
        return None

    @property
    def source(self) -> Source | None:
        """Where the energies come from."""
        return self._meter.sensor.source if self._meter.sensor else None

    def swap(self, session: Session | None, held: Held | None, *, energy_mj: float | None = None) -> None:
        """Serve `session` from the next inference on; `energy_mj` is what its probe showed."""
        with self.turn:
            self.session, self.held = session, held
            self._figures = Figures()
            if energy_mj is not None:
                self._figures.recent_mj.append(energy_mj)
        self._wake.set()

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
            sample = self._figures.count if values is None else None
            return ran, _answer(self.session, ran, sample) if self.session.facts.labels else None, energy_mj

    def take(self) -> Served:
        """Return what ran since the last call, and begin to count anew."""
        with self.turn:
            served = self._figures.taken()
            refused, self._refused = self._refused, 0
        return served if self._inputs is None else replace(served, inputs=_counted(self._inputs, served, refused))

    def budget(self) -> BudgetState | None:
        """Return the running model's energy against its budget; None when there is neither."""
        state = self._figures.against(self.held)
        return state if state is None or state.latest_mj is None else replace(state, source=self.source)

    def wake(self) -> None:
        """Look at once for what there is to do."""
        self._wake.set()

    def close(self) -> None:
        """End the thread, and take nothing in any more."""
        self._ended = True
        self._wake.set()
        self._thread.join()
        if self._inputs is not None:
            self._inputs.close()

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
            begun = time.monotonic()
            if self._once():
                due = max(due + 1 / self.rate, begun)
                continue
            self._wake.wait(None if self._inputs is None else self._inputs.poll_s)
            self._wake.clear()
            due = time.monotonic()

    def _once(self) -> bool:
        """Run one input; return whether there was one."""
        try:
            with self.turn:
                session, held = self.session, self.held
                if session is not None and self._inputs is None:
                    self._run_sample(session)
            if session is None or held is None or self._inputs is None:
                return self._inputs is None
            item = self._inputs.next()
            if item is None:
                return False
            self._serve_item(item, session, held)
        except EdgeWattError as error:
            self._on_fault(error.message)
        return True

    def _run_sample(self, session: Session) -> None:
        number = self._figures.count
        self._meter.begin()
        ran = session.run(number)
        self._count(session, ran, self._meter.end(ran.wall_s), number)

    def _count(self, session: Session, ran: Ran, energy_mj: float | None, sample: int | None) -> None:
        self._figures.add(ran.wall_s, energy_mj)
        if session.facts.labels:
            index = session.best(ran.output)
            said = partial(_answer, session, ran, sample)
            self._figures.hear(_label(session.facts, index), _truth(session.facts, sample), said)

    def _serve_item(self, item: Item, session: Session, held: Held) -> None:
        """Bring `item` to its end with `session`, also when another one is swapped in meanwhile."""
        try:
            outcome = self._outcome(item.values(session.facts), session, held)
        except EdgeWattError as error:
            self._refused += 1
            item.refused(error)
            if isinstance(error, ArtifactError):
                self._on_fault(error.message)
        else:
            item.answered(outcome)

    def _outcome(self, values: Any, session: Session, held: Held) -> Outcome:
        with self.turn:
            self._meter.begin()
            ran = session.infer(values)
            energy_mj = self._meter.end(ran.wall_s)
            if session is self.session:
                self._count(session, ran, energy_mj, None)
        return Outcome(
            model=held.model,
            top=_ranked(session, ran),
            latency_ms=ran.wall_s * 1_000,
            energy_mj=energy_mj,
            energy_source=None if energy_mj is None else self.source,
        )


def _counted(inputs: Inputs, served: Served, refused: int) -> InputState:
    """Return what came in, the most frequent answers by name."""
    named = dict(served.answers.most_common(TOLD_LABELS))
    others = served.answers.total() - sum(named.values())
    return InputState(
        source=inputs.name, answers=named, other_answers=others or None, refused=refused, fault=inputs.fault
    )


def _ranked(session: Session, ran: Ran) -> tuple[Ranked, ...]:
    """Return the strongest answers, the strongest first."""
    labels = session.facts.labels
    return tuple(
        Ranked(index, round(confidence, 4), labels[index] if index < len(labels) else None)
        for index, confidence in session.strongest(ran.output, STRONGEST)
    )


def _answer(session: Session, ran: Ran, sample: int | None) -> Answer:
    """Return the answer of a model with labels in words."""
    index, confidence = session.top(ran.output)
    return Answer(
        label=_label(session.facts, index), confidence=round(confidence, 4), truth=_truth(session.facts, sample)
    )


def _label(facts: ModelFacts, index: int) -> str:
    return facts.labels[index] if index < len(facts.labels) else str(index)


def _truth(facts: ModelFacts, sample: int | None) -> str | None:
    return facts.samples[sample % len(facts.samples)].truth if sample is not None and facts.samples else None
