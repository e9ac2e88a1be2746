"""Runs the active model at its rate in a thread of its own, on its samples or on what a source of inputs brings."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from threading import Event, Lock, Thread
from typing import Any

from broker.activity import InputState
from broker.energy import Source
from broker.errors import ArtifactError, ConflictError, EdgeWattError
from broker.messages import Answer, BudgetState
from edge_agent.inputs.source import STRONGEST, Inputs, Item, Outcome, Ranked
from edge_agent.modelstore import Held
from edge_agent.power.meter import Meter
from edge_agent.runtimes.session import Ran, Session
from edge_agent.served import Figures, Served, answer

BLOCK_S = 0.01
"""How long samples run in one go where more are asked for than the model can: what happens between two costs much.

The meter is read, and others have their turn, after each block.
"""

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
        self._at_once = 1
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
            self._figures, self._at_once = Figures(session, energy_mj), 1
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
            return ran, answer(self.session, ran.output, sample) if self.session.facts.labels else None, energy_mj

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
            if not self._wanted or self._paused or self.session is None:
                self._wake.wait()
                self._wake.clear()
                due = time.monotonic()
                continue
            begun = time.monotonic()
            if due > begun and self._wake.wait(due - begun):
                self._wake.clear()
                due = min(due, time.monotonic() + 1 / self.rate)
            elif self._once():
                due = max(due + 1 / self.rate, begun)
            else:
                self._wake.wait(None if self._inputs is None else self._inputs.poll_s)
                self._wake.clear()
                due = time.monotonic()

    def _once(self) -> bool:
        """Run one input; return whether there was one."""
        try:
            if self._inputs is not None:
                return self._next_input(self._inputs)
            with self.turn:
                if self.session is not None:
                    self._run_samples(self.session)
        except EdgeWattError as error:
            self._on_fault(error.message)
        return True

    def _run_samples(self, session: Session) -> None:
        """Run the next sample, several where the rate is beyond what the model can; each is timed by itself."""
        first, ones = self._figures.count, self._at_once
        self._meter.begin()
        block = [session.run(number) for number in range(first, first + ones)]
        block_s = sum(ran.wall_s for ran in block)
        energy_mj = self._meter.end(block_s)
        for number, ran in enumerate(block, first):
            self._figures.note(ran, None if energy_mj is None else energy_mj / ones, number)
        self._at_once = max(1, round(ones * BLOCK_S / block_s)) if block_s * self.rate > ones else 1

    def _next_input(self, inputs: Inputs) -> bool:
        """Run what comes next, if anything does."""
        with self.turn:
            session, held = self.session, self.held
        if session is None or held is None:
            return False
        item = inputs.next()
        if item is not None:
            self._serve_item(item, session, held)
        return item is not None

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
                self._figures.note(ran, energy_mj, None)
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
