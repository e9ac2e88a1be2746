"""Which measurements speak for which device type, and how far they may be trusted there."""

from dataclasses import dataclass
from typing import Literal

MEASURED_BOARDS = ("raspberry_pi_4", "firefly_rk3588s", "odroid_n2", "jetson_agx_xavier", "jetson_agx_orin")
"""Boards with rows of their own; each has a predictor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where a device type's predictions come from.

    `board` is the measured board, None for no figure; `margin` names the measured spread by which the interval is
    widened because the board is another one.
    """

    device_type: str
    board: str | None
    support: Literal["high", "proxy", "low", "none"]
    margin: Literal["", "runtime_version", "other_board"] = ""
    reason: str = ""


PI_4 = Route(device_type="raspberry_pi_4", board="raspberry_pi_4", support="high")
PI_5 = Route(
    device_type="raspberry_pi_5",
    board="firefly_rk3588s",
    support="proxy",
    margin="runtime_version",
    reason="measured on an RK3588S, which has the Raspberry Pi 5's core at its clock, not on a Raspberry Pi 5",
)
OLDER_PI = Route(
    device_type="raspberry_pi",
    board="raspberry_pi_4",
    support="low",
    margin="other_board",
    reason="measured on a Raspberry Pi 4, not on this board",
)
JETSON_NANO = Route(
    device_type="jetson_nano_2gb",
    board="raspberry_pi_4",
    support="low",
    margin="other_board",
    reason="uncalibrated: a Raspberry Pi 4's CPU stands in for the Jetson Nano's, its GPU is not considered",
)
BEAGLEBONE = Route(
    device_type="beaglebone_black",
    board=None,
    support="none",
    reason="nothing was ever measured on a board with one Cortex-A8",
)
X86 = Route(
    device_type="x86", board=None, support="none", reason="a generic x86 machine may draw 5 or 500 W: measure it"
)
UNIFIED = Route(
    device_type="unified",
    board=None,
    support="low",
    margin="other_board",
    reason="unknown device type: the range over all five measured boards",
)

_ROUTES: tuple[tuple[tuple[str, ...], Route], ...] = (
    (("raspberry_pi_5", "raspberrypi5", "rpi_5", "rpi5", "pi5"), PI_5),
    (("raspberry_pi_4", "raspberrypi4", "rpi_4", "rpi4", "pi4"), PI_4),
    (("raspberry", "rpi"), OLDER_PI),
    (("jetson_agx_xavier",), Route(device_type="jetson_agx_xavier", board="jetson_agx_xavier", support="high")),
    (("jetson_agx_orin",), Route(device_type="jetson_agx_orin", board="jetson_agx_orin", support="high")),
    (("firefly_rk3588s", "rk3588"), Route(device_type="firefly_rk3588s", board="firefly_rk3588s", support="high")),
    (("odroid_n2",), Route(device_type="odroid_n2", board="odroid_n2", support="high")),
    (("jetson",), JETSON_NANO),
    (("beaglebone", "bbb"), BEAGLEBONE),
    (("x86", "amd64", "i686", "generic", "pc", "linux"), X86),
)


def route(device_type: str) -> Route:
    """Return where predictions for `device_type` come from, in any spelling; UNIFIED for an unknown one."""
    name = plain(device_type)
    return next((found for prefixes, found in _ROUTES if name.startswith(prefixes)), UNIFIED)


def plain(device_type: str) -> str:
    """Return `device_type` in lower case with underscores, however it was spelled."""
    return "_".join(device_type.lower().replace("-", " ").replace("_", " ").split())
