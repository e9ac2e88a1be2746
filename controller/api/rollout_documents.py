"""The documents about rollouts that REST answers with, made from the controller's records."""

from dataclasses import asdict
from typing import Any

import msgspec

from controller.api.documents import Document
from controller.logs import event_document
from controller.rollouts import evidence as rollout_evidence
from controller.rollouts.rolling import Rolling
from controller.rollouts.standing import Standing
from controller.rollouts.state import Rollout, Wave, outcome
from controller.sleep import absence, asleep_until
from controller.storage.schema_rollouts import ROLLOUT_FIGURES
from controller.storage.store import Row

WAITED_FOR = (Standing.AWAY, Standing.ROLLBACK_AWAY)
NAMED = 100


def rollout_document(rolling: Rolling, rollout: Rollout, now: float) -> Document:
    """Return a rollout with its waves and how many devices stand where; `holds` says why nobody begins just now."""
    names = ("id", "model", "who", "created_at", "since", "deadline_at", "reason", "code", "terminal", "size")
    counts = {each.value: rollout.count(frozenset({each})) for each in Standing}
    return {name: getattr(rollout, name) for name in names} | {
        "phase": rollout.phase.value,
        "wave": min(rollout.wave + 1, len(rollout.waves)),
        "counts": {name: number for name, number in counts.items() if number},
        "outcome": outcome(rollout),
        "holds": rolling.holds(rollout, now),
        "waves": [_wave(index, wave) for index, wave in enumerate(rollout.waves, start=1)],
    }


def whole_document(rolling: Rolling, rollout: Rollout, now: float) -> Document:
    """Return a rollout with what was asked for, who is waited for, what it costs before and after, and its audit."""
    store, request = rolling.service.store, rolling.rollouts.request(rollout.id)
    asked = msgspec.to_builtins(request)
    asked.pop("rules")
    away = rolling.participants.standing(rollout.id, WAITED_FOR, NAMED)
    return rollout_document(rolling, rollout, now) | {
        "request": asked,
        "rules": asdict(rollout.rules),
        "retry_of": request.retry_of,
        "waiting_for": [_waited_for(store.device(part["device_id"]), part, now) for part in away],
        "figures": [_figures(row) for row in rollout_evidence.summary(store, rollout.id)],
        "events": [event_document(event) for event in rolling.participants.audit(rollout.id)],
    }


def part_document(part: Row) -> Document:
    """Return where one device of a rollout stands, and its deployment now, which may end later; waves count from 1."""
    names = ("device_id", "device_type", "standing", "since", "deployment_id", "command_id", "stage", "code", "reason")
    figures = {when: {name: part[f"{when}_{name}"] for name in ROLLOUT_FIGURES} for when in ("before", "after")}
    return {name: part[name] for name in names} | {
        "wave": None if part["wave"] is None else part["wave"] + 1,
        "deployment_phase": part["deployment_phase"],
        "before": {"model": part["before_model"], **figures["before"]},
        "after": figures["after"],
        "predicted": {"energy_mj": part["predicted_mj"], "low_mj": part["low_mj"], "high_mj": part["high_mj"]},
    }


def _wave(index: int, wave: Wave) -> Document:
    counts = {each.value: wave.counts[each] for each in Standing if each in wave.counts}
    facts = {"phase": wave.phase.value, "since": wave.since, "size": wave.size, "forgiven": wave.forgiven}
    return {"wave": index, **facts, "counts": counts}


def _waited_for(device: Row | None, part: Row, now: float) -> Document:
    """Return who is waited for and why, in words: away, asleep until when, or for a condition of its own."""
    known = {"device_id": part["device_id"], "standing": part["standing"]}
    if device is None:
        return known | {"why": "is forgotten", "last_seen_at": None, "wake_at": None}
    why = part["reason"] if device["online"] else absence(device, now)
    return known | {"why": why, "last_seen_at": device["reading_at"], "wake_at": asleep_until(device, now)}


def _figures(row: Row) -> dict[str, Any]:
    names = ("when", "device_type", "source", "devices", "energy_mj", "latency_p95_ms")
    predicted = {"predicted": {"energy_mj": row["predicted_mj"], "low_mj": row["low_mj"], "high_mj": row["high_mj"]}}
    found = {name: row[name] for name in names}
    return found if row["when"] == "before" else found | predicted | {"inside_prediction": row["inside"]}
