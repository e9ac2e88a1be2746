"""Energy without a sensor: the board's usual busy power times the time it worked, marked as such."""

from dataclasses import dataclass
from typing import Protocol

from broker.messages import PowerSensor
from edge_agent.boards import Board
from edge_agent.power.meter import PowerMeter


class Powered(Protocol):
    """A simulated board, as far as its power goes."""

    def power_mw(self) -> float:
        """Return what it draws during an inference."""
        ...


@dataclass(frozen=True, slots=True)
class NominalMeter:
    """A power that is taken for granted, so that there is nothing to read."""

    sensor: PowerSensor
    busy_mw: float

    def begin(self) -> None:
        """Do nothing."""

    def end(self, busy_s: float) -> float:
        """Return power x `busy_s` in mJ."""
        return self.busy_mw * busy_s

    def trace(self) -> None:
        """Have nothing to fill: nothing is measured."""


def modelled(board: Board) -> NominalMeter:
    """Return a meter that takes `board`'s nominal busy power for granted; its source is `model`."""
    return NominalMeter(PowerSensor(source="model", rail="board"), board.busy_mw)


def simulated(board: Powered) -> PowerMeter:
    """Return the meter of a simulated board; its source is `simulated`."""
    return PowerMeter(sensor=PowerSensor(source="simulated", rail="board"), read_mw=board.power_mw)
