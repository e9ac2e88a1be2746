"""Reads an INA219 or INA226 that the kernel's ina2xx driver offers: a shunt in the supply of the board."""

from functools import partial
from pathlib import Path

from broker.messages import PowerSensor
from edge_agent.power.meter import PowerMeter
from edge_agent.power.sysfs import number, text

CHIPS = ("ina219", "ina226")
RATE_HZ = 10.0


def find(sys: Path) -> PowerMeter | None:
    """Return a meter on the first INA219 or INA226 under `sys` that answers."""
    for folder in sorted(sys.glob("class/hwmon/hwmon*")):
        chip = text(folder / "name")
        if chip in CHIPS and power_mw(folder) is not None:
            sensor = PowerSensor(source="hwmon", rail=chip, rate_hz=RATE_HZ)
            return PowerMeter(sensor=sensor, read_mw=partial(power_mw, folder))
    return None


def power_mw(folder: Path) -> float | None:
    """Return the power in mW: `power1_input` in microwatt, or mV x mA where the driver offers no power."""
    uw = number(folder / "power1_input")
    if uw is not None:
        return uw / 1_000
    mv, ma = number(folder / "in1_input"), number(folder / "curr1_input")
    return None if mv is None or ma is None else mv * ma / 1_000
