"""What the devices of a rollout cost and took, before and after: from telemetry and results, summed in SQL."""

from typing import Any

from broker.phases import TERMINAL, Phase
from controller.deployment import Deployment
from controller.rollouts.guards import FEWEST_SAMPLES, Evidence
from controller.storage.database import EVERY
from controller.storage.store import Row, Store

_MEANT = """
SELECT place, device_id, since FROM rollout_devices WHERE rollout_id = :rollout AND wave = :wave
  AND standing = 'done' AND place > :after ORDER BY place LIMIT :limit
"""

_SEEN = f"""
SELECT m.device_id, m.place, t.energy_source AS source, count(*) AS samples, count(t.energy_mj) AS n,
  avg(t.energy_mj) AS energy_mj, avg(t.latency_p95_ms) AS p95_ms, max(t.temperature_c) AS temperature_c,
  max(t.throttled) AS throttled, max(d.info) AS info
FROM ({_MEANT}) m
JOIN devices d ON d.id = m.device_id
JOIN samples t ON t.device_id = m.device_id AND t.ts >= m.since AND t.model = :model
  AND coalesce(t.spooled, 0) = 0
GROUP BY m.device_id, m.place, t.energy_source ORDER BY m.place
"""  # noqa: S608 - our own words

_SUMMARY = """
SELECT device_type, {when}_source AS source, count(*) AS devices, avg({when}_mj) AS energy_mj,
  avg({when}_p95_ms) AS latency_p95_ms, avg(predicted_mj) AS predicted_mj, avg(low_mj) AS low_mj,
  avg(high_mj) AS high_mj,
  sum(CASE WHEN {when}_mj BETWEEN low_mj AND high_mj THEN 1 WHEN low_mj <= high_mj THEN 0 END) AS inside
FROM rollout_devices WHERE rollout_id = ? AND after_mj IS NOT NULL AND {when}_mj IS NOT NULL
GROUP BY device_type, {when}_source ORDER BY device_type, {when}_source
"""


def soaked(
    store: Store, rollout_id: str, model: str, wave: int, *, after: int = 0, limit: int = EVERY
) -> tuple[int, list[tuple[str, Evidence]]]:
    """Return what devices of a wave that are done reported of `model` since, a page of them, and where the next begins.

    A device whose energy has two sources comes once for each. The place is 0 when there are no more.
    """
    asked = {"rollout": rollout_id, "wave": wave, "model": model, "after": after, "limit": limit}
    meant = store.query(_MEANT, asked)
    store.settle(*(row["device_id"] for row in meant))
    rows = store.query(_SEEN, asked)
    full = len(meant) == limit
    return meant[-1]["place"] if full else 0, [(row["device_id"], _evidence(row)) for row in rows]


def of_result(result: dict[str, Any], *, simulated: bool) -> Evidence:
    """Return what a deployment's result tells; what is no figure is absent."""
    return Evidence(
        samples=FEWEST_SAMPLES,
        simulated=simulated,
        energy_mj=_number(result.get("energy_mj")),
        energy_source=result.get("energy_source"),
        latency_p95_ms=_number(result.get("latency_p95_ms")),
    )


def before_columns(device: Row) -> dict[str, Any]:
    """Return what a device ran until now and what that cost and took, from its newest reading."""
    reading, state = device["reading"] or {}, device["state"] or {}
    energy, latency = reading.get("energy") or {}, reading.get("latency_ms") or {}
    return {
        "before_model": (state.get("active") or {}).get("model"),
        "before_mj": _number(energy.get("energy_mj")),
        "before_source": energy.get("source"),
        "before_p95_ms": _number(latency.get("p95")),
    }


def after_columns(seen: Evidence) -> dict[str, Any]:
    """Return what a device costs and takes now."""
    return {"after_mj": seen.energy_mj, "after_source": seen.energy_source, "after_p95_ms": seen.latency_p95_ms}


def predicted_columns(deployment: Deployment) -> dict[str, Any]:
    """Return what a device was foretold to cost."""
    names = {"predicted_mj": "energy_mj", "low_mj": "low_mj", "high_mj": "high_mj"}
    return {column: (deployment.predicted or {}).get(name) for column, name in names.items()}


def last_step(store: Store, deployment: Deployment) -> str | None:
    """Return the step that a deployment was in before it ended or began to roll back."""
    over = {*TERMINAL, Phase.ROLLING_BACK}
    steps = (event["phase"] for event in store.events(deployment_id=deployment.id, limit=8) if event["phase"])
    return next((step for step in steps if step not in over), None)


def summary(store: Store, rollout_id: str) -> list[Row]:
    """Return means before and after by board and by the source of the energy, which are never mixed.

    `inside` counts the devices whose energy lay within its predicted interval.
    """
    rows = []
    for when in ("before", "after"):
        rows += [row | {"when": when} for row in store.query(_SUMMARY.format(when=when), [rollout_id])]
    return rows


def _evidence(row: Row) -> Evidence:
    return Evidence(
        samples=row["samples"],
        simulated=bool((row["info"] or {}).get("simulated")),
        energy_mj=row["energy_mj"],
        energy_source=row["source"],
        latency_p95_ms=row["p95_ms"],
        temperature_c=row["temperature_c"],
        throttled=bool(row["throttled"]),
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
