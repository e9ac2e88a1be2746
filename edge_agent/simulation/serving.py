"""Serves without a thread: what would have run by now is counted when somebody asks."""

import time
from collections.abc import Callable

from edge_agent.modelstore import Held
from edge_agent.power.meter import Meter
from edge_agent.runtimes.session import Session
from edge_agent.served import Served
from edge_agent.serving import Server
from edge_agent.simulation.body import Body
from edge_agent.simulation.runtime import SimulatedModel

MOST_AT_ONCE = 200
"""Inferences that are played of one interval; more of them would only sharpen the percentiles."""


class SimulatedServer(Server):
    """A server whose inferences are played in the caller's time; the figures are made by the same code."""

    def __init__(self, meter: Meter, *, rate: float, on_fault: Callable[[str], None], body: Body) -> None:
        """Serve nothing yet; how much of its time the model takes is told to `body`."""
        self._body = body
        self._counted_at = time.monotonic()
        super().__init__(meter, rate=rate, on_fault=on_fault)

    def swap(self, session: Session | None, held: Held | None, *, energy_mj: float | None = None) -> None:
        """Serve `session` from now on."""
        self._catch_up()
        super().swap(session, held, energy_mj=energy_mj)
        self._tell_body()

    def want(self, running: bool) -> None:
        """Run or rest."""
        self._catch_up()
        super().want(running)
        self._tell_body()

    def set_rate(self, rate: float) -> None:
        """Change the inferences per second."""
        self._catch_up()
        super().set_rate(rate)
        self._tell_body()

    def take(self) -> Served:
        """Return what would have run since the last call."""
        self._catch_up()
        return super().take()

    def _catch_up(self) -> None:
        now = time.monotonic()
        due = int((now - self._counted_at) * self.rate) if self.active else 0
        self._counted_at = self._counted_at + due / self.rate if self.active and due <= MOST_AT_ONCE else now
        for _ in range(min(due, MOST_AT_ONCE)):
            self._once()

    def _tell_body(self) -> None:
        session = self.session
        busy_s = self._body.latency_s(session.facts, session.size_bytes) if isinstance(session, SimulatedModel) else 0.0
        self._body.load = min(busy_s * self.rate, 1.0) if self.active else 0.0

    def _serve(self) -> None:
        """Need no thread."""
