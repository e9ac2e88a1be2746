"""Puts what balena and what we know of the same board beside each other; pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal, get_args

Row = dict[str, Any]

Where = Literal["both", "balena", "here"]
WHERE: tuple[Where, ...] = get_args(Where)
_OURS = ("id", "health", "health_reason", "last_reading_at", "reading_age_s", "runs", "phase", "drift", "simulated")


def join(theirs: Iterable[Row], ours: Iterable[Row]) -> list[Row]:
    """Return a row for each board: those known to both first, then balena's, then ours, each by name.

    A device of ours is a board of theirs by the uuid that its agent says; several agents on a board are several rows.
    """
    boards = {each["uuid"]: each for each in theirs}
    known = [(each, (each.get("balena_uuid") or "").lower()) for each in ours]
    seen = {uuid for _, uuid in known}
    rows = [_row(boards.get(uuid), each, uuid or None) for each, uuid in known]
    rows += [_row(each, None, uuid) for uuid, each in boards.items() if uuid not in seen]
    return sorted(rows, key=lambda row: (WHERE.index(row["where"]), row["name"].lower()))


def counts(rows: Sequence[Row]) -> dict[Where, int]:
    """Return how many rows are known where."""
    found = Counter(row["where"] for row in rows)
    return {where: found[where] for where in WHERE}


def _row(board: Row | None, device: Row | None, uuid: str | None) -> Row:
    where: Where = "both" if board and device else "balena" if board else "here"
    return {
        "where": where,
        "uuid": uuid,
        "name": (board or {}).get("name") or (device or {}).get("id") or uuid,
        "balena": board,
        "device": device and _ours(device),
    }


def _ours(device: Row) -> Row:
    latest = device.get("latest") or {}
    return {name: device.get(name) for name in _OURS} | {"temperature_c": latest.get("temperature_c")}
