"""What a device says anew of itself, compared with what it said before; pure."""

from collections.abc import Mapping
from typing import Any

TOLD = ("device_type", "board", "os", "agent_version", "ip", "battery_wh", "solar_wh_per_day", "balena_uuid")
"""Facts whose change is told, beside tags, runtimes and the power sensor; free disk and the like are not."""

NOTHING = "none"


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return each changed fact as `name old → new`."""
    was, now = _facts(before), _facts(after)
    return [f"{name} {was[name] or NOTHING} → {now[name] or NOTHING}" for name in now if was[name] != now[name]]


def _facts(info: Mapping[str, Any]) -> dict[str, str]:
    plain = {name: "" if info.get(name) is None else str(info[name]) for name in TOLD}
    tags = " ".join(f"{key}={value}" for key, value in sorted((info.get("tags") or {}).items()))
    runtimes = ", ".join(f"{each.get('name')} {each.get('version')}" for each in info.get("runtimes") or ())
    return plain | {"tags": tags, "runtimes": runtimes, "power": (info.get("power_sensor") or {}).get("source") or ""}
