"""Picks what knows this device's power: a real sensor first, the board's nominal power last."""

from pathlib import Path

from edge_agent.boards import BOARDS
from edge_agent.power import hwmon, ina3221, pmic, rapl
from edge_agent.power.meter import Meter, NoMeter
from edge_agent.power.modelled import modelled

SYS = Path("/sys")


def pick(device_type: str, *, sys: Path = SYS) -> Meter:
    """Return the best meter for a `device_type` whose sysfs is at `sys`; NoMeter when nothing is known."""
    found = ina3221.find(sys) or hwmon.find(sys) or pmic.find() or rapl.find(sys)
    if found is not None:
        return found
    board = BOARDS.get(device_type)
    return NoMeter() if board is None else modelled(board)
