"""Units and origins of energy: mJ per inference, and what measured or modelled it."""

from typing import Literal

MWH_BASIS_INFERENCES = 500
"""Inferences in the run that an mWh figure speaks of."""


MJ_PER_MWH = 3_600


Source = Literal["ina3221", "pmic", "rapl", "nvml", "hwmon", "usb_meter", "model", "simulated"]
"""Where an energy came from; `model` and `simulated` were not measured."""


MEASURED: frozenset[str] = frozenset({"ina3221", "pmic", "rapl", "nvml", "hwmon", "usb_meter"})


def mj_from_mwh(mwh: float) -> float:
    """Return mJ per inference for `mwh` spent on a run of 500 inferences."""
    return mwh * MJ_PER_MWH / MWH_BASIS_INFERENCES


def mwh_from_mj(energy_mj: float) -> float:
    """Return mWh per run of 500 inferences for `energy_mj` per inference."""
    return energy_mj * MWH_BASIS_INFERENCES / MJ_PER_MWH
