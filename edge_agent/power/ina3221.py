"""Reads the INA3221 of a Jetson: the iio driver of JetPack 4, the hwmon driver of JetPack 5 and 6."""

from dataclasses import dataclass
from pathlib import Path

from broker.messages import PowerSensor
from edge_agent.power.meter import PowerMeter
from edge_agent.power.rails import board_rail
from edge_agent.power.sysfs import number, text

RATE_HZ = 10.0
"""How often the sensor is asked; it converts every few milliseconds, a read takes about one."""

_SHUNT_SUM = 7
"""hwmon's in7 is the sum of the shunts, no rail (kernel Documentation/hwmon/ina3221.rst)."""


@dataclass(frozen=True, slots=True)
class Ina3221:
    """The power rails under one sysfs folder."""

    folder: Path

    def rails_mw(self) -> dict[str, float]:
        """Return the power of each named rail in mW; rails that are not connected are left out."""
        return _iio(self.folder) or _hwmon(self.folder)

    def board_mw(self) -> float | None:
        """Return the whole board's power in mW; None when the labels cannot be trusted."""
        rails = self.rails_mw()
        rail = board_rail(rails)
        return None if rail is None else rails[rail]


def find(sys: Path) -> PowerMeter | None:
    """Return a meter on the first INA3221 under `sys` that knows the whole board's power."""
    drivers = sys / "bus/i2c/drivers"
    for folder in (*drivers.glob("ina3221x/*/iio:device*"), *drivers.glob("ina3221/*/hwmon/hwmon*")):
        sensor = Ina3221(folder)
        rail = board_rail(sensor.rails_mw())
        if rail is not None:
            return PowerMeter(sensor=PowerSensor(source="ina3221", rail=rail, rate_hz=RATE_HZ), read_mw=sensor.board_mw)
    return None


def _iio(folder: Path) -> dict[str, float]:
    found = ((text(folder / f"rail_name_{n}"), number(folder / f"in_power{n}_input")) for n in range(3))
    return {name: mw for name, mw in found if name and mw is not None}


def _hwmon(folder: Path) -> dict[str, float]:
    rails = {}
    for n in range(1, _SHUNT_SUM):
        name = text(folder / f"in{n}_label")
        mv, ma = number(folder / f"in{n}_input"), number(folder / f"curr{n}_input")
        if name and "NC" not in name and mv is not None and ma is not None:
            rails[name] = mv * ma / 1_000
    return rails
