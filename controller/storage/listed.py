"""What is kept beside a device's documents so that lists of a large fleet need not read them; pure."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from broker.wire import document
from controller.doing import runs
from controller.fleet import live_within_s
from controller.sleep import wakes_at

Row = dict[str, Any]
PRESENCE = ("online", "status", "status_at")
FROM = ("info", "state", "reading", *PRESENCE)
"""Columns from which others follow."""
FIGURES = ("energy_mj", "latency_p95_ms", "temperature_c")


class _Latency(msgspec.Struct):
    p95: float | None = None


class _Energy(msgspec.Struct):
    energy_mj: float | None = None


class _Figures(msgspec.Struct):
    temperature_c: float | None = None
    latency_ms: _Latency | None = None
    energy: _Energy | None = None


_read = msgspec.json.Decoder(_Figures).decode


def beside(device_id: str, columns: Mapping[str, Any], stored: Callable[[], Row | None]) -> Row:
    """Return what follows from changed `columns` of a device; `stored` gives its row where they do not tell all."""
    found: Row = {}
    if "info" in columns:
        info = document(columns["info"]) or {}
        found |= {name: info.get(name) for name in ("device_type", "board", "ip")}
        found["words"] = "\n".join(filter(None, (device_id, info.get("device_type"), info.get("board")))).lower()
    if "state" in columns:
        found["runs"] = runs(document(columns["state"]) or {})
    if columns.keys() & set(PRESENCE):
        known = {} if columns.keys() >= set(PRESENCE) else stored() or {}
        device = {name: document(columns.get(name, known.get(name))) for name in PRESENCE}
        found |= {"wakes_at": wakes_at(device), "live_within_s": live_within_s(device)}
    if "reading" in columns:
        figured = figures(_read(json.dumps(document(columns["reading"])))) if columns["reading"] else (None, None, None)
        found |= dict(zip(FIGURES, figured, strict=True))
    return found


def tags(info: Mapping[str, Any] | None) -> set[str]:
    """Return the tags that a device tells, each as `key=value`."""
    return {f"{key}={value}" for key, value in ((document(info) or {}).get("tags") or {}).items()}


def figures(told: Any) -> tuple[float | None, float | None, float | None]:
    """Return energy (mJ per inference), p95 (ms) and temperature (°C) of what has the attributes of a `Telemetry`."""
    energy_mj = None if told.energy is None else told.energy.energy_mj
    return energy_mj, None if told.latency_ms is None else told.latency_ms.p95, told.temperature_c
