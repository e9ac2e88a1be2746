"""How often a rule would have fired, by the readings that are kept; bounded, and never in the way of the fleet."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from controller.alerts.quantities import Reading, kind_of
from controller.alerts.rule import Rule
from controller.alerts.state import Alert, AlertState, NoNews, Note, Read, step
from controller.store import Row, Store

DAY_S = 86_400.0
BUCKET_S = 60.0
MOST_READINGS = 1_000_000
"""Readings that one preview looks at: a second or two of work, a few milliseconds at a time."""

MOST_NAMED = 20


@dataclass(slots=True)
class Found:
    """What a preview found on one device; times in Unix s."""

    device_id: str
    readings: int = 0
    fired: int = 0
    first_at: float | None = None
    last_at: float | None = None
    firing_s: float = 0.0


async def preview(store: Store, rule: Rule, *, days: float, at: float) -> dict[str, Any]:
    """Return how often and where `rule` would have fired in the last `days`, and how much was looked at."""
    if not rule.watched.column:
        return {"fired": None, "devices": [], "sentence": f"{rule.quantity} is not kept over time: no preview of it"}
    rows = store.query("SELECT id, info FROM devices ORDER BY id")
    meant = [row["id"] for row in rows if rule.watches(row["id"], row["info"] or {})]
    found: list[Found] = []
    for device_id in meant:
        found.append(await _of_device(store, rule, device_id, since=at - days * DAY_S, until=at))
        if sum(each.readings for each in found) >= MOST_READINGS:
            break
    return _document(rule, found, len(meant), days)


async def _of_device(store: Store, rule: Rule, device_id: str, *, since: float, until: float) -> Found:
    found, alert = Found(device_id), Alert(rule=rule.name, subject=device_id, since=since)
    while since < until:
        for row in _minutes(store, rule, device_id, since, min(since + DAY_S, until)):
            found.readings += row["readings"]
            for reading in _readings(rule, row):
                alert = _replayed(rule, alert, reading, found)
        since += DAY_S
        await asyncio.sleep(0)  # the fleet goes on meanwhile
    if alert.open:
        found.firing_s += (alert.reading_at or alert.since) - alert.since
    return found


def _minutes(store: Store, rule: Rule, device_id: str, since: float, until: float) -> list[Row]:
    """Return the readings of a device by minute and source: how many, when, the lowest and the highest."""
    column = rule.watched.column
    return store.query(
        f"SELECT CAST((ts - ?) / ? AS INTEGER) AS minute, energy_source, count(*) AS readings, "  # noqa: S608 - our own columns
        f"min(ts) AS begins, max(ts) AS ends, min({column}) AS low, max({column}) AS high FROM telemetry "
        f"WHERE device_id = ? AND ts > ? AND ts <= ? AND {column} IS NOT NULL GROUP BY minute, energy_source "
        "ORDER BY minute",
        [since, BUCKET_S, device_id, since, until],
    )


def _readings(rule: Rule, row: Row) -> Iterator[Reading]:
    """Yield what a minute says: at its beginning the mildest, at its end the worst reading."""
    kind = kind_of(row["energy_source"]) if rule.watched.is_energy else ""
    if rule.kinds and kind not in rule.kinds:
        return
    high_is_worse = rule.comparison.startswith(">")
    mild, worst = (row["low"], row["high"]) if high_is_worse else (row["high"], row["low"])
    yield Reading(value=float(mild), at=row["begins"], kind=kind)
    if row["ends"] > row["begins"]:
        yield Reading(value=float(worst), at=row["ends"], kind=kind)


def _replayed(rule: Rule, alert: Alert, reading: Reading, found: Found) -> Alert:
    """Return what an alert becomes by the next reading of the past, and count what that would have said."""
    if alert.reading_at is not None and reading.at - alert.reading_at > max(rule.no_data_after_s, BUCKET_S):
        alert, _ = step(alert, NoNews(why=""), rule, alert.reading_at + rule.no_data_after_s)
    before = alert
    after, effects = step(before, Read(reading=reading), rule, reading.at)
    if any(isinstance(effect, Note) and effect.word == "firing" for effect in effects):
        found.fired += 1
        found.first_at, found.last_at = found.first_at or reading.at, reading.at
    if before.state is AlertState.FIRING and after.state is not AlertState.FIRING:
        found.firing_s += reading.at - before.since
    return after


def _document(rule: Rule, found: list[Found], meant: int, days: float) -> dict[str, Any]:
    told, fired = [each for each in found if each.readings], sum(each.fired for each in found)
    worst = sorted((each for each in found if each.fired), key=lambda each: (-each.fired, each.device_id))
    span = f"{days:g} day{'' if days == 1 else 's'}"
    where = f"on {len(worst)} of {len(told)} device{'' if len(told) == 1 else 's'}"
    left = f"; {meant - len(found)} more devices were not looked at" if len(found) < meant else ""
    if not told:
        sentence = f"no data: none of {meant} devices told {rule.quantity} in {span}{left}"
    elif not fired:
        sentence = f"would not have fired in {span} {where.replace('on 0 of', 'on any of')}{left}"
    else:
        sentence = f"would have fired {fired} time{'' if fired == 1 else 's'} in {span}, {where}{left}"
    return {
        "fired": fired if told else None,
        "devices_with_data": len(told),
        "devices_looked_at": len(found),
        "devices_meant": meant,
        "readings": sum(each.readings for each in found),
        "devices": [msgspec.to_builtins(each) for each in worst[:MOST_NAMED]],
        "sentence": sentence,
    }
