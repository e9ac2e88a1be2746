"""Reads this machine's vital signs and its birth certificate."""

import os
import platform
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from broker.messages import PowerState

CPU_SENSORS = ("cpu_thermal", "coretemp", "k10temp", "soc_thermal", "cpu-thermal", "acpitz")
DEVICE_TREE = Path("/proc/device-tree/model")
CLOCK_IS_SET = Path("/run/systemd/timesync/synchronized")
MB = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """One look at the machine; what it has no sensor for is None."""

    cpu_usage_percent: float
    ram_usage_mb: float
    ram_usage_percent: float
    storage_usage_mb: float
    uptime_seconds: float


def look(folder: Path) -> Vitals:
    """Return the vital signs now; storage is that of the disk under `folder`, CPU since the last look."""
    memory = psutil.virtual_memory()
    return Vitals(
        cpu_usage_percent=psutil.cpu_percent(None),
        ram_usage_mb=round((memory.total - memory.available) / MB, 1),
        ram_usage_percent=memory.percent,
        storage_usage_mb=round(psutil.disk_usage(str(folder)).used / MB, 1),
        uptime_seconds=round(time.time() - float(psutil.boot_time()), 1),
    )


def power() -> PowerState:
    """Return battery and heat as this machine's sensors show them."""
    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    return PowerState(
        soc_pct=None if battery is None else float(battery.percent),
        charging=None if battery is None or battery.power_plugged is None else bool(battery.power_plugged),
        temp_c=temperature_c(),
    )


def temperature_c(read: Callable[[], dict[str, list[tuple[str, float | None]]]] | None = None) -> float | None:
    """Return the processor's temperature; None when the machine has no such sensor."""
    found = (read or _sensors)()
    readings = [t for name in CPU_SENSORS for _, t in found.get(name, [])] or [t for r in found.values() for _, t in r]
    return next((t for t in readings if t is not None and t > 0), None)


def own_rss_mb() -> float:
    """Return the memory that this process holds."""
    return round(float(psutil.Process().memory_info().rss) / MB, 1)


def own_peak_rss_mb() -> float | None:
    """Return the most memory that this process ever held; None where the kernel does not tell.

    `getrusage` would not do: its figure outlives `exec`, so a child's includes its parent.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    kilobytes = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return next((round(int(kb) * 1_024 / MB, 1) for kb in kilobytes), None)


def board_name() -> str | None:
    """Return the board's own name from the device tree; None on a machine without one."""
    try:
        return DEVICE_TREE.read_text(encoding="ascii", errors="replace").strip("\0\n ") or None
    except OSError:
        return None


def device_type(board: str | None) -> str:
    """Return the type that the predictors know for a board's name; `generic_x86` and the like otherwise."""
    known = {
        "raspberry pi 5": "raspberry_pi_5",
        "raspberry pi 4": "raspberry_pi_4",
        "jetson nano": "jetson_nano_2gb",
        "beaglebone black": "beaglebone_black",
        "rk3588s": "rk3588s",
    }
    low = (board or "").lower()
    found = next((kind for words, kind in known.items() if words in low), None)
    return found or ("generic_x86" if platform.machine() in ("x86_64", "AMD64") else f"generic_{platform.machine()}")


def cpu_name() -> str | None:
    """Return the processor's name as the kernel gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    named = (line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model", "Hardware")))
    return next(named, None)


def os_name() -> str:
    """Return the operating system's name and version."""
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return f"{platform.system()} {platform.release()}"


def own_ip(host: str, port: int) -> str | None:
    """Return the address from which this machine reaches `host`; nothing is sent."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((host, port))
            return str(probe.getsockname()[0])
    except OSError:
        return None


def clock_is_set() -> bool:
    """Whether the clock was set from the network, so that times of others can be judged by it."""
    return CLOCK_IS_SET.exists()


def cpu_count() -> int:
    """Return the number of processors."""
    return os.cpu_count() or 1


def ram_mb() -> float:
    """Return the memory of this machine."""
    return round(float(psutil.virtual_memory().total) / MB, 1)


def free_ram_bytes() -> int:
    """Return the memory that a new model may take."""
    return int(psutil.virtual_memory().available)


def _sensors() -> dict[str, list[tuple[str, float | None]]]:
    if not hasattr(psutil, "sensors_temperatures"):
        return {}
    return {name: [(r.label, r.current) for r in found] for name, found in psutil.sensors_temperatures().items()}
