"""What a simulated device would say of its processor, memory and disk; pure."""

from edge_agent.simulation.body import Body
from edge_agent.vitals import Vitals

RAM_MB = {"jetson_nano_2gb": 2_048.0, "raspberry_pi_5": 8_192.0, "raspberry_pi_4": 4_096.0, "beaglebone_black": 512.0}
OTHER_RAM_MB = 4_096.0
SYSTEM_MB = 210.0
"""What Linux, its services and the agent hold on a small board; assumed."""

STORAGE_MB = 4_200.0
IDLE_PERCENT = 3.0


def seen(body: Body, uptime_s: float) -> Vitals:
    """Return the vital signs of `body`, up for `uptime_s`."""
    ram_mb = RAM_MB.get(body.board.device_type, OTHER_RAM_MB)
    return Vitals(
        cpu_usage_percent=round(IDLE_PERCENT + (100 - IDLE_PERCENT) * body.load, 1),
        ram_usage_mb=SYSTEM_MB,
        ram_usage_percent=round(SYSTEM_MB / ram_mb * 100, 1),
        storage_usage_mb=STORAGE_MB,
        uptime_seconds=round(uptime_s, 1),
    )
