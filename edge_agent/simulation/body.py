"""The body of a simulated device: heat, battery and sun followed through time in fixed steps."""

import random
from dataclasses import dataclass, field

from broker.messages import PowerState
from edge_agent.boards import BOARDS, Board
from edge_agent.runtimes.facts import ModelFacts
from edge_agent.simulation import battery, heat, power, sun
from edge_agent.simulation.board import NOISE
from edge_agent.simulation.draws import draws
from edge_agent.simulation.mix import Member

STEP_S = 5.0
"""What happens within a step is one mean; time constants are far longer."""

MOST_STEPS = 720
"""A body that nobody asked for longer than an hour goes on from there."""

WARMEST_C = 8.0
"""How far the air rises above its usual at noon; assumed."""


@dataclass(slots=True, kw_only=True)
class Body:
    """A device as it is `run_s` seconds into its run; the same seed and the same load give the same life."""

    board: Board
    day_s: float
    panel: sun.Sun
    cell: battery.Battery | None
    warmth: heat.Heat
    load: float = 0.0
    _noise: random.Random
    _steps: int = field(default=0)

    def at(self, run_s: float) -> PowerState:
        """Live until `run_s` and return what the sensors show."""
        due = int(run_s / STEP_S)
        self._steps = max(self._steps, due - MOST_STEPS)
        while self._steps < due:
            self._step()
        cell = self.cell
        return PowerState(
            soc_pct=None if cell is None else round(cell.soc_pct, 1),
            charging=None if cell is None else cell.charging,
            temp_c=round(self.warmth.temp_c, 1),
            throttled=self.warmth.throttled,
        )

    def latency_s(self, facts: ModelFacts, size_bytes: int) -> float:
        """Return how long the next inference takes, with noise."""
        usual_s = power.latency_s(facts, size_bytes, self.board, throttled=self.warmth.throttled)
        return usual_s * max(self._noise.gauss(1, NOISE), 0.5)

    def power_mw(self) -> float:
        """Return what the board draws during the next inference, with noise."""
        return power.busy_mw(self.board, throttled=self.warmth.throttled) * max(self._noise.gauss(1, NOISE), 0.5)

    def mean_mw(self) -> float:
        """Return what the board draws on average now."""
        return power.mean_mw(self.board, load=self.load, throttled=self.warmth.throttled)

    def _step(self) -> None:
        self._steps += 1
        second = self.day_s + self._steps * STEP_S
        shine_mw = sun.yield_mw(self.panel, second)
        ambient_c = WARMEST_C * sun.yield_mw(_SHADELESS, second) / _BRIGHTEST_MW
        drawn_mw = self.mean_mw()
        self.warmth = heat.warmed(self.warmth, self.board, load=self.load, ambient_c=ambient_c, seconds=STEP_S)
        if self.cell is not None:
            self.cell = battery.after(self.cell, drawn_mw=drawn_mw, yielded_mw=shine_mw, seconds=STEP_S)


def born(member: Member, seed: int) -> Body:
    """Return the body of `member` at the beginning of the run, at a time of day of its own."""
    board = BOARDS[member.device_type]
    draw = draws(seed, member.id, "body")
    day_s = draw.uniform(0, sun.DAY_S)
    cell = battery.Battery(capacity_wh=member.battery_wh, soc_pct=draw.uniform(30, 100)) if member.battery_wh else None
    return Body(
        board=board,
        day_s=day_s,
        panel=sun.sun_over(member.solar_wh_per_day or 0.0, draw),
        cell=cell,
        warmth=heat.Heat(temp_c=board.idle_c),
        _noise=draws(seed, member.id, "noise"),
    )


_SHADELESS = sun.Sun(wh_per_day=1.0)
_BRIGHTEST_MW = sun.yield_mw(_SHADELESS, sun.DAY_S / 2)
