"""Energy without a sensor: the board's usual busy power times the time it worked, marked as such."""

from typing import Protocol

from broker.messages import PowerSensor
from edge_agent.boards import Board
from edge_agent.power.meter import PowerMeter


class Powered(Protocol):
    """A simulated board, as far as its power goes."""

    def power_mw(self) -> float:
        """Return what it draws during an inference."""
        ...


def modelled(board: Board) -> PowerMeter:
    """Return a meter that takes `board`'s nominal busy power for granted; its source is `model`."""
    return PowerMeter(sensor=PowerSensor(source="model", rail="board"), read_mw=lambda: board.busy_mw)


def simulated(board: Powered) -> PowerMeter:
    """Return the meter of a simulated board; its source is `simulated`."""
    return PowerMeter(sensor=PowerSensor(source="simulated", rail="board"), read_mw=board.power_mw)
