"""What boards draw at the least and can be given at the most, and who says so."""

from dataclasses import dataclass
from functools import lru_cache

from controller.predict.boards import plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A type of board: watts it draws idle and watts its supply gives, None where nobody is known to have said."""

    device_type: str
    names: tuple[str, ...] = ()
    idle_w: float | None = None
    idle_source: str = ""
    supply_w: float | None = None
    supply_source: str = ""


BOARDS = (
    Board(
        device_type="jetson_nano_2gb",
        names=("jetson_nano", "jetson_nano_2gb_developer_kit", "nano_2gb"),
        idle_w=2.1,
        idle_source="measured with the board's 247-model benchmark, about 2.1 W",
        supply_w=15.0,
        supply_source="5 V 3 A by USB-C, NVIDIA's user guide of the Jetson Nano 2GB Developer Kit",
    ),
    Board(
        device_type="raspberry_pi_4",
        names=("raspberrypi4", "raspberry_pi_4b", "raspberry_pi_4_model_b", "rpi_4", "rpi4", "pi4", "pi_4"),
        idle_w=1.7,
        idle_source="the least of 36 measurements with USB meters, radio off, chipwired.com/raspberry-pi-power-use",
        supply_w=15.0,
        supply_source="5 V 3 A by USB-C, the computer's documentation by Raspberry Pi",
    ),
    Board(
        device_type="raspberry_pi_5",
        names=("raspberrypi5", "raspberry_pi_5_model_b", "rpi_5", "rpi5", "pi5", "pi_5"),
        supply_w=27.0,
        supply_source="27 W USB-C power supply (5.1 V 5 A), the computer's documentation by Raspberry Pi",
    ),
    Board(device_type="firefly_rk3588s", names=("rk3588s", "rk3588")),
    Board(device_type="odroid_n2", names=("odroid_n2+", "odroidn2")),
    Board(device_type="jetson_agx_xavier", names=("agx_xavier",)),
    Board(device_type="jetson_agx_orin", names=("agx_orin",)),
    Board(device_type="beaglebone_black", names=("beaglebone", "bbb")),
)
"""Idle is what a whole board draws with nothing to do; where no figure with a source is known, it is not judged by."""

PARTS = frozenset({"rapl", "nvml", "pmic"})
"""Meters that see a part of the board, which may draw less than the whole does idle."""

_BY_NAME = {name: board for board in BOARDS for name in (board.device_type, *board.names)}


@lru_cache(maxsize=256)
def board(device: str) -> Board:
    """Return the board that `device` names in any spelling; one of which nothing is known for any other."""
    name = plain(device)
    return _BY_NAME.get(name) or Board(device_type=name)
