"""What the files of a model cost on devices, from how deployments ended and from benchmarks."""

from typing import Any

import msgspec

from broker.energy import MEASURED
from controller.models.changes import Kind, Reading
from controller.storage.store import Row, Store

MOST = 5_000
"""How many of the newest deployments and benchmarks of a model are looked at."""


class _File(msgspec.Struct):
    sha256: str


class _Ended(msgspec.Struct):
    """What of a deployment's document is read."""

    device_id: str
    since: float
    artifact: _File | None = None
    result: dict[str, Any] | None = None


_decoder = msgspec.json.Decoder(_Ended)


def readings(store: Store, model: str) -> list[Reading]:
    """Return what each file of `model` cost each device that is known, as often as that was told."""
    types = {row["id"]: row["device_type"] or "unknown" for row in store.query("SELECT id, device_type FROM devices")}
    found = {(each.device_id, each.sha256, each.energy_mj): each for each in _benchmarks(store, model, types)}
    found |= {(each.device_id, each.sha256, each.energy_mj): each for each in _newest(store, model, types)}
    ended = _deployments(store, model, types)
    own = {(each.device_id, each.sha256, each.energy_mj) for each in ended}
    return ended + [each for key, each in found.items() if key not in own]


def _deployments(store: Store, model: str, types: dict[str, str]) -> list[Reading]:
    rows = store.query(
        "SELECT document FROM deployments WHERE model = ? AND open = 0 ORDER BY created_at DESC LIMIT ?", [model, MOST]
    )
    found = []
    for each in (_decoder.decode(row["document"]) for row in rows):
        told = each.result or {}
        if each.artifact is not None and each.device_id in types and told:
            found.append(
                Reading(
                    device_id=each.device_id,
                    device_type=types[each.device_id],
                    sha256=each.artifact.sha256,
                    energy_kind=_kind(told.get("energy_source")),
                    energy_mj=_number(told.get("energy_mj")),
                    latency_p95_ms=_number(told.get("latency_p95_ms")),
                    memory_mb=_number(told.get("rss_mb")),
                    at=each.since,
                )
            )
    return found


def _benchmarks(store: Store, model: str, types: dict[str, str]) -> list[Reading]:
    rows = store.query(
        "SELECT device_id, artifact_sha256, actual_mj AS energy_mj, source, NULL AS p95_ms, at FROM ledger "
        "WHERE model = ? AND deployment_id IS NULL AND artifact_sha256 IS NOT NULL ORDER BY at DESC LIMIT ?",
        [model, MOST],
    )
    return [_reading(row, types) for row in rows if row["device_id"] in types]


def _newest(store: Store, model: str, types: dict[str, str]) -> list[Reading]:
    rows = store.query("SELECT * FROM measurements WHERE model = ? AND artifact_sha256 IS NOT NULL", [model])
    return [_reading(row, types) for row in rows if row["device_id"] in types]


def _reading(row: Row, types: dict[str, str]) -> Reading:
    return Reading(
        device_id=row["device_id"],
        device_type=types[row["device_id"]],
        sha256=row["artifact_sha256"],
        energy_kind=_kind(row["source"]),
        energy_mj=row["energy_mj"],
        latency_p95_ms=row["p95_ms"],
        memory_mb=None,
        at=row["at"],
    )


def _kind(source: Any) -> Kind:
    return "measured" if source in MEASURED else "simulated" if source == "simulated" else "modelled"


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
