"""Lists and counts devices in SQL: a page of a hundred thousand reads the documents of its own devices alone."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from controller.fleet import GRACE_S, HEALTHS, LATE_S, LIVE_S
from controller.sleep import OVERSLEPT_S
from controller.storage.database import EVERY
from controller.storage.store import Row, Store, like

Order = Literal[
    "id",
    "-id",
    "health",
    "-health",
    "reading_age_s",
    "-reading_age_s",
    "device_type",
    "-device_type",
    "model",
    "-model",
    "latency_p95_ms",
    "-latency_p95_ms",
    "energy_mj",
    "-energy_mj",
    "temperature_c",
    "-temperature_c",
]
"""What a list of devices can be sorted by; a minus puts the greatest first. Who has no such figure comes last."""

READ_AT_ONCE = 100
"""Devices that are read at one time where all are listed: 20 ms, and not half a megabyte of documents."""

_RANK = {word: rank for rank, word in enumerate(HEALTHS)}
_HEALTH = f"""(CASE
WHEN online = 1 AND :now - reading_at < {LIVE_S} THEN {_RANK["live"]}
WHEN online = 0 AND wakes_at IS NOT NULL AND :now < wakes_at + {OVERSLEPT_S} THEN {_RANK["asleep"]}
WHEN online = 0 AND status_at IS NOT NULL AND :now - status_at >= {GRACE_S} THEN {_RANK["offline"]}
WHEN reading_at IS NULL AND online = 1 THEN {_RANK["silent"]}
WHEN reading_at IS NULL THEN {_RANK["never_seen"]}
WHEN :now - reading_at < coalesce(live_within_s, 30) THEN {_RANK["live"]}
WHEN :now - reading_at < {LATE_S} THEN {_RANK["late"]}
WHEN online = 1 THEN {_RANK["silent"]}
ELSE {_RANK["offline"]} END)"""
"""The rank of a device's health at the time `:now`: what `fleet.health` says, in SQL, what most devices are first."""

_COUNTS = ", ".join(f"count(*) FILTER (WHERE standing = {rank}) AS {word}" for word, rank in _RANK.items())
_COUNTED = (
    f"SELECT {_COUNTS}, coalesce(sum(gaps), 0) AS gaps "  # noqa: S608 - fixed text
    f"FROM (SELECT {_HEALTH} AS standing, gaps FROM fleet LIMIT {EVERY}) AS each_device"
)
"""Its limit is none: it keeps a rank from being found once more for each count, and a sort by ranks costs as much."""

ALL = "true"
_TERMS = {
    "q": "(words LIKE :q ESCAPE '\\' OR lower(runs) LIKE :q ESCAPE '\\')",
    "health": f"{_HEALTH} = :health",
    "tag": "id IN (SELECT device_id FROM device_tags WHERE tag = :tag)",
    "device_type": "device_type = :device_type",
    "model": "runs = :model",
}
_FIGURES = {
    "id": "id",
    "health": _HEALTH,
    "reading_age_s": "-reading_at",
    "device_type": "device_type",
    "model": "runs",
    **{name: name for name in ("latency_p95_ms", "energy_mj", "temperature_c")},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Which devices are asked for, and in which order; what is empty is not asked. `tag` is `key=value`."""

    q: str = ""
    health: str = ""
    tag: str = ""
    device_type: str = ""
    model: str = ""
    sort: Order = "id"


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetList:
    """The devices of a store as lists show them."""

    store: Store

    def count(self, sought: Sought, now: float) -> int:
        """Return how many devices are asked for."""
        where, given = _where(sought, now)
        if where == ALL:
            return self.store.count_devices()
        return int(self.store.query(f"SELECT count(*) AS n FROM fleet WHERE {where}", given)[0]["n"])  # noqa: S608 - fixed text

    def page(self, sought: Sought, now: float, *, limit: int, offset: int) -> list[Row]:
        """Return the rows of one page."""
        where, given = _where(sought, now)
        given |= {"limit": limit, "offset": offset}
        sql = f"SELECT id FROM fleet WHERE {where} ORDER BY {_order(sought.sort)} LIMIT :limit OFFSET :offset"  # noqa: S608 - same
        return self.rows([row["id"] for row in self.store.query(sql, given)])

    def pages(self, sought: Sought, now: float) -> Iterator[list[Row]]:
        """Yield the rows of all devices that are asked for, as they stand when each page is read."""
        where, given = _where(sought, now)
        sql = f"SELECT id FROM fleet WHERE {where} ORDER BY {_order(sought.sort)}"  # noqa: S608 - same
        names = [row[0] for row in self.store.connection.execute(sql, given)]
        for first in range(0, len(names), READ_AT_ONCE):
            yield self.rows(names[first : first + READ_AT_ONCE])

    def rows(self, names: list[str]) -> list[Row]:
        """Return the rows of these devices, in their order, without those that are gone."""
        if not names:
            return []
        marks = ", ".join("?" * len(names))
        found = {row["id"]: row for row in self.store.query(f"SELECT * FROM fleet WHERE id IN ({marks})", names)}  # noqa: S608 - marks only
        return [found[name] for name in names if name in found]

    def running(self, model: str, now: float) -> dict[str, Counter[str]]:
        """Return how many devices of each health run `model`, by the SHA-256 of the file that they run."""
        text_in = self.store.connection.json_text
        file = text_in(text_in("state", "active"), "artifact_sha256")
        sql = (
            f"SELECT {file} AS sha256, {_HEALTH} AS standing, count(*) AS n FROM fleet "  # noqa: S608 - fixed text
            "WHERE runs = :model GROUP BY sha256, standing"
        )
        words, found = {rank: word for word, rank in _RANK.items()}, defaultdict[str, Counter[str]](Counter)
        for row in self.store.query(sql, {"now": now, "model": model}):
            if row["sha256"] is not None:
                found[row["sha256"]][words[row["standing"]]] += row["n"]
        return found

    def healths_and_gaps(self, now: float) -> tuple[dict[str, int], int]:
        """Return how many devices have each health, and how many samples are missing over all of them."""
        [row] = self.store.query(_COUNTED, {"now": now})
        return {word: row[word] for word in HEALTHS}, row["gaps"]


def _where(sought: Sought, now: float) -> tuple[str, dict[str, Any]]:
    """Return the condition, and what it is given: an unknown health is nobody's."""
    asked = {name: getattr(sought, name) for name in _TERMS if getattr(sought, name)}
    given: dict[str, Any] = {"now": now, **asked}
    if "q" in asked:
        given["q"] = like(sought.q)
    if "health" in asked:
        given["health"] = _RANK.get(sought.health, -1)
    return " AND ".join(_TERMS[name] for name in asked) or ALL, given


def _order(sort: Order) -> str:
    """Return the order, in which who has no such figure comes last, and equals come by their ids."""
    name = sort.removeprefix("-")
    way = "DESC" if sort.startswith("-") else "ASC"
    if name == "id":
        return f"id {way}"
    figure = _FIGURES[name]
    return f"({figure}) IS NULL, {figure} {way}, id"
