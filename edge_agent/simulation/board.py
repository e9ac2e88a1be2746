"""Plays a small board on this machine: real inference, with the time and heat that the board would show."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from broker.messages import PowerState
from edge_agent.boards import Board
from edge_agent.runtimes.facts import ModelFacts
from edge_agent.runtimes.session import Loaded, Ran, Session
from edge_agent.simulation.reference import reference_s

HEATING_S = 45.0
"""How long a throttling board takes from its usual heat to its limit."""

THROTTLED_SLOWDOWN = 2.1
"""Latency of a throttled board over its usual one: 1.5 GHz down to 0.7 GHz, as a Raspberry Pi at its limit."""

THROTTLED_POWER = 0.9
"""Power of a throttled board over its usual one: most of it is memory, peripherals and the supply; assumed."""

NOISE = 0.03
"""Standard deviation of simulated powers and times; MLPerf's runs of one system repeat within 2 to 5 %."""

MOST_SPREAD = 1.15
"""Longest over shortest inference that is played: the median of p90 over p50 in MLPerf's rows of both boards."""


@dataclass(slots=True, kw_only=True)
class SimulatedBoard:
    """A board that warms up as it works; with `heats_after_s` it throttles that long after its first inference."""

    board: Board
    seed: int = 0
    heats_after_s: float | None = None
    now: Callable[[], float] = time.monotonic
    _first_work: float | None = None
    _draw: random.Random = field(init=False)

    def __post_init__(self) -> None:
        """Seed the noise."""
        self._draw = random.Random(self.seed)  # noqa: S311 - measurement noise that tests can repeat

    @property
    def heat(self) -> float:
        """How far the board is from its usual temperature (0) to its limit (1)."""
        if self.heats_after_s is None or self._first_work is None:
            return 0.0
        return min(max((self.now() - self._first_work - self.heats_after_s) / HEATING_S, 0.0), 1.0)

    @property
    def power(self) -> PowerState:
        """Temperature and throttling as the board would report them."""
        usual = self.board.idle_c if self._first_work is None else self.board.busy_c
        temp_c = usual + (self.board.throttle_c + 3 - usual) * self.heat + self._draw.gauss(0, 0.3)
        return PowerState(temp_c=round(temp_c, 1), throttled=self.heat >= 1.0)

    def stretch(self, output: Any, cpu_s: float) -> Ran:
        """Return an inference that takes `cpu_s` on the reference core, as long as the board takes."""
        if self._first_work is None:
            self._first_work = self.now()
        slower = self.board.slowdown * (1 + (THROTTLED_SLOWDOWN - 1) * self.heat)
        return Ran(output, cpu_s * slower)

    def power_mw(self) -> float:
        """Return the power drawn by an inference now, with noise."""
        return self.board.busy_mw * (1 - (1 - THROTTLED_POWER) * self.heat) * self.noise()

    def noise(self) -> float:
        """Return what the next figure is multiplied by."""
        return max(self._draw.gauss(1, NOISE), 0.5)


@dataclass(slots=True)
class SimulatedSession:
    """A real session whose times are the simulated board's: of a model that tells its MACs those of the board model.

    Of another one they are this machine's processor time, as much slower as the board is.
    """

    inner: Session
    board: SimulatedBoard
    cpu_clock: Callable[[], float] = time.thread_time
    _least_s: float = float("inf")

    @property
    def facts(self) -> ModelFacts:
        """What the model file says about itself."""
        return self.inner.facts

    @property
    def loaded(self) -> Loaded:
        """How it was loaded, in the time and memory of this machine."""
        return self.inner.loaded

    def run(self, sample: int) -> Ran:
        """Run the sample of that number."""
        began_s = self.cpu_clock()
        return self._played(self.inner.run(sample), began_s)

    def infer(self, values: Sequence[float]) -> Ran:
        """Run one input, given flat."""
        began_s = self.cpu_clock()
        return self._played(self.inner.infer(values), began_s)

    def best(self, output: Any) -> int:
        """Return the index of the strongest answer."""
        return self.inner.best(output)

    def top(self, output: Any) -> tuple[int, float]:
        """Return the index and the probability of the strongest answer."""
        return self.inner.top(output)

    def strongest(self, output: Any, count: int) -> tuple[tuple[int, float], ...]:
        """Return the strongest answers in `output`."""
        return self.inner.strongest(output, count)

    def difference(self, sample: int, output: Any) -> float | None:
        """Return the largest difference from the sample's expected output."""
        return self.inner.difference(sample, output)

    def _played(self, ran: Ran, began_s: float) -> Ran:
        """Return the board's time for `ran`, without what this machine's cold caches and neighbours add."""
        cpu_s, gmacs = self.cpu_clock() - began_s, self.inner.facts.gmacs
        if gmacs is not None:
            return self.board.stretch(ran.output, reference_s(gmacs) * self.board.noise())
        self._least_s = min(self._least_s, cpu_s)
        return self.board.stretch(ran.output, min(cpu_s, self._least_s * MOST_SPREAD))
