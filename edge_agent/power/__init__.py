"""Picks what knows this device's power: a real sensor first, the board's nominal power last."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from broker.errors import InvalidError
from edge_agent.boards import BOARDS
from edge_agent.power import hwmon, ina3221, nvml, pmic, rapl, tegrastats
from edge_agent.power.meter import Meter, NoMeter
from edge_agent.power.modelled import modelled

SYS = Path("/sys")

AUTO, NONE, MODEL, NVML = "auto", "none", "model", "nvml"


def pick(device_type: str, *, sys: Path = SYS, wanted: str = AUTO) -> Meter:
    """Return the best meter for a `device_type` whose sysfs is at `sys`, or the `wanted` one.

    NoMeter when nothing is known. Raises InvalidError for a wanted meter that is unknown (`bad_setting`) or not here
    (`no_meter`).
    """
    sensors = _sensors(sys)
    board = BOARDS.get(device_type)
    if wanted == NONE:
        return NoMeter()
    if wanted in (AUTO, MODEL):
        found = (find() for find in sensors.values()) if wanted == AUTO else iter(())
        nominal = NoMeter() if board is None else modelled(board)
        return next((meter for meter in found if meter is not None), nominal)
    find = nvml.find if wanted == NVML else sensors.get(wanted)
    if find is None:
        known = ", ".join((AUTO, *sensors, NVML, MODEL, NONE))
        raise InvalidError(f"no kind of meter is called '{wanted}'", code="bad_setting", hint=f"known: {known}")
    meter = find()
    if meter is None:
        reasons = (nvml.why_not(),) if wanted == NVML else refused(sys)
        said = "; ".join(reason for reason in reasons if reason)
        raise InvalidError(f"there is no {wanted} meter here{f': {said}' if said else ''}", code="no_meter")
    return meter


def refused(sys: Path = SYS) -> tuple[str, ...]:
    """Return in sentences which sensors are there and give no figure, and why."""
    return tuple(said for said in (ina3221.why_not(sys), pmic.why_not(), rapl.why_not(sys)) if said)


def _sensors(sys: Path) -> Mapping[str, Callable[[], Meter | None]]:
    """Return how to find each sensor of a whole device, the best first."""
    return {
        "ina3221": partial(ina3221.find, sys),
        "tegrastats": tegrastats.find,
        "hwmon": partial(hwmon.find, sys),
        "pmic": pmic.find,
        "rapl": partial(rapl.find, sys),
    }
