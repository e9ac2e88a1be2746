"""Reads the power management chip of a Raspberry Pi 5: the sum of volts x amperes over its paired rails.

Not covered: 5 V drawn by USB and HATs, and the conversion loss; EXT5V and BATT have no current channel.
"""

import re
import shutil
import subprocess

from broker.messages import PowerSensor
from edge_agent.power.meter import PowerMeter

RATE_HZ = 2.0
"""vcgencmd is a process of its own; twice a second costs the board under one percent of a core."""

COMMAND = ("vcgencmd", "pmic_read_adc")
TIMEOUT_S = 2.0

_LINE = re.compile(r"^\s*(\w+)_([AV]) (?:current|volt)\(\d+\)=([0-9.]+)[AV]\s*$", re.MULTILINE)


def find() -> PowerMeter | None:
    """Return a meter where vcgencmd exists and knows the command (a Pi 4 does not)."""
    if shutil.which(COMMAND[0]) is None or read_mw() is None:
        return None
    return PowerMeter(sensor=PowerSensor(source="pmic", rail="pmic rails", rate_hz=RATE_HZ), read_mw=read_mw)


def why_not() -> str | None:
    """Return in words why vcgencmd gives no figure; None where it does, or there is none."""
    if shutil.which(COMMAND[0]) is None or read_mw() is not None:
        return None
    return "vcgencmd is there but knows no pmic_read_adc: only a Raspberry Pi 5 has that chip"


def read_mw() -> float | None:
    """Return the board's power in mW now; None when the chip does not answer."""
    try:
        done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    return power_mw(done.stdout)


def power_mw(output: str) -> float | None:
    """Return the sum over rails with both a voltage and a current, in mW; None when `output` has no such rail."""
    amperes: dict[str, float] = {}
    volts: dict[str, float] = {}
    for rail, unit, value in _LINE.findall(output):
        (amperes if unit == "A" else volts)[rail] = float(value)
    paired = amperes.keys() & volts.keys()
    return sum(amperes[rail] * volts[rail] for rail in paired) * 1_000 if paired else None
