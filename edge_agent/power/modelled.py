"""Energy without a sensor: the board's usual busy power times the time it worked, marked as such."""

from broker.messages import PowerSensor
from edge_agent.boards import Board
from edge_agent.power.meter import PowerMeter
from edge_agent.simulate import SimulatedBoard


def modelled(board: Board) -> PowerMeter:
    """Return a meter that takes `board`'s nominal busy power for granted; its source is `model`."""
    return PowerMeter(sensor=PowerSensor(source="model", rail="board"), read_mw=lambda: board.busy_mw)


def simulated(board: SimulatedBoard) -> PowerMeter:
    """Return the meter of a simulated board; its source is `simulated`."""
    return PowerMeter(sensor=PowerSensor(source="simulated", rail="board"), read_mw=board.power_mw)
