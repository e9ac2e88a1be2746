"""Reads the energy counter of an NVIDIA card through NVML, with the optional package nvidia-ml-py.

It is the card alone: right for a model that runs there, nothing for one that runs on the processor. So it is taken
only where it is asked for by name.
"""

import importlib
from functools import partial
from typing import Any

from broker.messages import PowerSensor
from edge_agent.power.meter import CounterMeter

RATE_HZ = 10.0
"""The driver renews the counter every 20 to 100 ms, by card."""

UJ_PER_MJ = 1_000


def find(card: int = 0, *, library: Any = None) -> CounterMeter | None:
    """Return a meter on the card of that number; None without the package, a driver, or a counter (before Volta)."""
    nvml = library or _library()
    if nvml is None:
        return None
    try:
        nvml.nvmlInit()
        if card >= nvml.nvmlDeviceGetCount():
            return None
        handle = nvml.nvmlDeviceGetHandleByIndex(card)
    except nvml.NVMLError:
        return None
    read_uj = partial(energy_uj, nvml, handle)
    if read_uj() is None:
        return None
    sensor = PowerSensor(source="nvml", rail=f"gpu {card}", rate_hz=RATE_HZ)
    return CounterMeter(sensor=sensor, read_uj=read_uj, range_uj=None, step_uj=UJ_PER_MJ)


def energy_uj(nvml: Any, handle: Any) -> int | None:
    """Return the energy of a card since its driver was loaded, in microjoules; NVML counts millijoules."""
    try:
        return int(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) * UJ_PER_MJ
    except nvml.NVMLError:
        return None


def why_not(*, library: Any = None) -> str | None:
    """Return why `find` found nothing, in words."""
    nvml = library or _library()
    if nvml is None:
        return "NVML needs the package nvidia-ml-py: pip install 'edgewatt[nvml]'"
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return f"NVML does not start: {error}"
    return "no card here has an energy counter: NVIDIA has it from Volta on"


def _library() -> Any:
    try:
        return importlib.import_module("pynvml")
    except ImportError:
        return None
