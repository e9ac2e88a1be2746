"""What is known of each board: its power while it infers, and its speed beside a build machine."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """Constants of one device type; `source` says where they are from.

    `busy_mw`: mean power of the whole board while one model runs back to back. `slowdown`: its latency over that of
    the reference, one thread of onnxruntime on a server x86 core (MobileNet-v1 1.0 224, fp32: 6.3 ms).
    """

    device_type: str
    name: str
    busy_mw: float
    slowdown: float
    idle_c: float
    busy_c: float
    throttle_c: float
    source: str


# MobileNet-v1 1.0 224 fp32 in MLPerf Inference v1.0-v3.0, SingleStream, AC wall power, medians:
#   Raspberry Pi 4: TFLite 70.2 ms 478 mJ, ArmNN 57.0 ms 364 mJ. RK3588S: TFLite 23.9 ms 224 mJ, ArmNN 24.4 ms 129 mJ.
# The constants below are the geometric means of both runtimes: latency over 6.3 ms, energy over latency.
_MLPERF = "MLPerf Inference v1.0-v3.0 power results, MobileNet-v1 fp32"
# Temperatures: Raspberry Pi firmware throttles softly at 80 C (its `temp_limit`); idle and busy are assumed.
BOARDS = {
    board.device_type: board
    for board in (
        Board(
            device_type="raspberry_pi_5",
            name="Raspberry Pi 5 Model B",
            busy_mw=7_040.0,
            slowdown=3.83,
            idle_c=46.0,
            busy_c=61.0,
            throttle_c=80.0,
            source=f"{_MLPERF}, RK3588S as proxy (same core and clock)",
        ),
        Board(
            device_type="raspberry_pi_4",
            name="Raspberry Pi 4 Model B",
            busy_mw=6_600.0,
            slowdown=10.0,
            idle_c=48.0,
            busy_c=64.0,
            throttle_c=80.0,
            source=_MLPERF,
        ),
        Board(
            device_type="jetson_nano_2gb",
            name="NVIDIA Jetson Nano 2GB Developer Kit",
            busy_mw=5_000.0,
            slowdown=14.0,
            idle_c=41.0,
            busy_c=55.0,
            throttle_c=97.0,
            source="assumed: the 5 W power mode, Cortex-A57 at 0.7 of the Raspberry Pi 4's speed",
        ),
        Board(
            device_type="beaglebone_black",
            name="TI AM335x BeagleBone Black",
            busy_mw=2_300.0,
            slowdown=300.0,
            idle_c=50.0,
            busy_c=63.0,
            throttle_c=90.0,
            source="assumed: 460 mA at 5 V, one Cortex-A8 at about 0.3 GMAC/s",
        ),
    )
}
