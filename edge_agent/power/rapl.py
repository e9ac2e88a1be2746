"""Reads the energy counters of Intel and AMD processors through powercap; root only since Linux 5.10."""

from functools import partial
from pathlib import Path

from broker.messages import PowerSensor
from edge_agent.power.meter import CounterMeter
from edge_agent.power.sysfs import number, text

RATE_HZ = 1_000.0
"""The counters rise about once a millisecond."""

STEP_UJ = 61.0
"""The counters' usual unit, 2^-14 J (Intel SDM, MSR_RAPL_POWER_UNIT); AMD's is smaller."""

PREFERRED = ("psys", "package-0")
"""psys is the whole platform where it exists; package-0 is the processor alone."""


def find(sys: Path) -> CounterMeter | None:
    """Return a meter on the widest zone under `sys` that this user may read."""
    zones = _zones(sys)
    for name in PREFERRED:
        zone = zones.get(name)
        range_uj = None if zone is None else number(zone / "max_energy_range_uj")
        if zone is not None and range_uj is not None and energy_uj(zone) is not None:
            sensor = PowerSensor(source="rapl", rail=name, rate_hz=RATE_HZ)
            counter = partial(energy_uj, zone)
            return CounterMeter(sensor=sensor, read_uj=counter, range_uj=int(range_uj), step_uj=STEP_UJ)
    return None


def why_not(sys: Path) -> str | None:
    """Return in words why the zones under `sys` give no figure; None where one does, or there is none."""
    zones = _zones(sys)
    if not any(name in zones for name in PREFERRED) or find(sys) is not None:
        return None
    return (
        "RAPL is there but only root may read it: run as root, or "
        f"sudo chmod a+r {sys}/class/powercap/intel-rapl:*/{{energy_uj,max_energy_range_uj}}"
    )


def energy_uj(zone: Path) -> int | None:
    """Return the counter of `zone` in microjoules; None when it is closed to us."""
    value = number(zone / "energy_uj")
    return None if value is None else int(value)


def _zones(sys: Path) -> dict[str | None, Path]:
    return {text(zone / "name"): zone for zone in sorted(sys.glob("class/powercap/intel-rapl:*"))}
