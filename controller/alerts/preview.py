"""How often a rule would have fired, by the readings that are kept; bounded, and never in the way of the fleet."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from controller.alerts.quantities import Reading, kind_of
from controller.alerts.rule import Rule
from controller.alerts.state import Alert, AlertState, NoNews, Note, Read, step
from controller.storage.schema_rollups import FIGURES
from controller.storage.store import Row, Store
from controller.telemetry.rollups import MINUTE_S, floor_to

DAY_S = 86_400.0
MOST_MINUTES = 1_000_000
"""Minutes of devices that one preview looks at: a few seconds of work, some milliseconds at a time."""

KEPT = frozenset({*FIGURES, "throttled"})
"""What is kept by minute."""

MOST_NAMED = 20


_ROLLED = "SELECT until FROM rolled WHERE device_id = ?"


@dataclass(slots=True)
class Found:
    """What a preview found on one device; times in Unix s."""

    device_id: str
    readings: int = 0
    minutes: int = 0
    fired: int = 0
    first_at: float | None = None
    last_at: float | None = None
    firing_s: float = 0.0


async def preview(store: Store, rule: Rule, *, days: float, at: float) -> dict[str, Any]:
    """Return how often and where `rule` would have fired in the last `days`, and how much was looked at."""
    if rule.watched.column not in KEPT:
        return {"fired": None, "devices": [], "sentence": f"{rule.quantity} is not kept over time: no preview of it"}
    rows = store.query("SELECT id, info FROM devices ORDER BY id")
    meant = [row["id"] for row in rows if rule.watches(row["id"], row["info"] or {})]
    found: list[Found] = []
    for device_id in meant:
        since, until = floor_to(at - days * DAY_S, MINUTE_S), floor_to(at, MINUTE_S) + MINUTE_S
        found.append(await _of_device(store, rule, device_id, since=since, until=until))
        if sum(each.minutes for each in found) >= MOST_MINUTES:
            break
    return _document(rule, found, len(meant), days)


async def _of_device(store: Store, rule: Rule, device_id: str, *, since: float, until: float) -> Found:
    found, alert = Found(device_id), Alert(rule=rule.name, subject=device_id, since=since)
    while since < until:
        for row in _minutes(store, rule, device_id, since, min(since + DAY_S, until)):
            found.readings, found.minutes = found.readings + row["readings"], found.minutes + 1
            for reading in _readings(rule, row) if _matters(rule, alert, row) else ():
                alert = _replayed(rule, alert, reading, found)
        since += DAY_S
        await asyncio.sleep(0)  # the fleet goes on meanwhile
    if alert.open:
        found.firing_s += (alert.reading_at or alert.since) - alert.since
    return found


def _minutes(store: Store, rule: Rule, device_id: str, since: float, until: float) -> list[Row]:
    """Return a device's minutes by source, oldest first: how many readings, when, the lowest and the highest."""
    column, [rolled] = rule.watched.column, store.query(_ROLLED, [device_id]) or [{"until": since}]
    summed = min(max(rolled["until"], since), until)
    low, high, count = (column,) * 3 if column == "throttled" else (f"{column}_min", f"{column}_max", f"{column}_n")
    store.settle(device_id)
    kept = store.query(
        f"SELECT ts AS begins, ts + {MINUTE_S - 1} AS ends, energy_source, {'samples' if low == high else count} "  # noqa: S608 - our own columns
        f"AS readings, {low} AS low, {high} AS high FROM telemetry_minutes "
        f"WHERE device_id = ? AND ts >= ? AND ts < ? AND {low} IS NOT NULL ORDER BY ts",
        [device_id, since, summed],
    )
    newest = store.query(
        f"SELECT floor(ts / {MINUTE_S}) AS minute, energy_source, count(*) AS readings, min(ts) AS begins, "  # noqa: S608 - same
        f"max(ts) AS ends, min({column}) AS low, max({column}) AS high FROM samples WHERE device_id = ? "
        f"AND ts >= ? AND ts < ? AND {column} IS NOT NULL GROUP BY minute, energy_source ORDER BY minute",
        [device_id, summed, until],
    )
    return kept + newest


def _matters(rule: Rule, alert: Alert, row: Row) -> bool:
    """Return whether a minute can change anything: something is under way, or its worst reading is beyond."""
    return alert.state is not AlertState.OK or rule.breached(row["low"]) or rule.breached(row["high"])


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
    if alert.reading_at is not None and reading.at - alert.reading_at > max(rule.no_data_after_s, MINUTE_S):
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
