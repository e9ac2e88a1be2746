"""Reads the INA3221 of a Jetson: the iio driver of JetPack 4, the hwmon driver of JetPack 5 and 6."""

from dataclasses import dataclass
from pathlib import Path

from broker.messages import PowerSensor
from edge_agent.power.meter import PowerMeter
from edge_agent.power.rails import board_rail
from edge_agent.power.sysfs import number, text

RATE_HZ = 10.0
"""How often the sensor is asked; it converts every few milliseconds, a read takes about one."""

STEP_MW = 40.0
"""40 uV, the shunt channel's step (INA3221 data sheet), over the Jetsons' 5 mOhm shunts, at 5 V."""

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
    for sensor in _sensors(sys):
        rail = board_rail(sensor.rails_mw())
        if rail is not None:
            told = PowerSensor(source="ina3221", rail=rail, rate_hz=RATE_HZ)
            return PowerMeter(sensor=told, read_mw=sensor.board_mw, step_mw=STEP_MW)
    return None


def why_not(sys: Path) -> str | None:
    """Return in words why the INA3221s under `sys` give no figure; None where one does, or there is none."""
    rails = [rails for sensor in _sensors(sys) if (rails := sensor.rails_mw())]
    if not rails or any(board_rail(named) for named in rails):
        return None
    found = ", ".join(f"{name} {mw:.0f} mW" for named in rails for name, mw in named.items())
    return f"an INA3221 is there but its rails cannot be trusted to show the whole board: {found}"


def _sensors(sys: Path) -> list[Ina3221]:
    drivers = sys / "bus/i2c/drivers"
    return [Ina3221(f) for f in (*drivers.glob("ina3221x/*/iio:device*"), *drivers.glob("ina3221/*/hwmon/hwmon*"))]


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
