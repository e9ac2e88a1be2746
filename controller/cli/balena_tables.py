"""Boards, releases and lines of balena as tables; pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from controller.cli.console import Table
from controller.cli.figures import ABSENT, ago, clock, number, span, text

Document = Mapping[str, Any]

WHERE = {"both": "both", "balena": "only at balena", "here": "only here"}


def devices(found: Iterable[Document]) -> Table:
    """Return one row per board: balena's word on it, then ours with its age."""
    theirs, ours = ("balena", "status", "temp", "power", "runs", "should run"), ("device", "health", "reading", "model")
    columns = ("board", "known", *theirs, *ours, "uuid")
    return Table(columns=columns, rows=[_device(each) for each in found])


def releases(document: Document) -> Table:
    """Return one row per release; the fleet's own is marked."""
    own = (document["fleet"]["should_run"] or {}).get("id")
    rows = [
        (
            str(each["id"]),
            text(each["name"]),
            "invalidated" if each["invalidated"] else text(each["status"]),
            ago(each["created_at"]),
            "the fleet's" if each["id"] == own else ABSENT,
            text(each["commit"])[:12],
        )
        for each in document["releases"]
    ]
    return Table(columns=("release", "version", "status", "made", "runs", "commit"), rows=rows)


def plan(document: Document) -> Table:
    """Return the boards that have, or would have, another release to run."""
    before = (document["before"] or {}).get("name")
    rows = [
        (text(each["name"]), text(before), text(document["release"]["name"]), each["uuid"])
        for each in document["devices"]
    ]
    return Table(columns=("board", "before", "release", "uuid"), rows=rows)


def lines(found: Iterable[Document]) -> list[str]:
    """Return each log line with its time (UTC) and where it is from."""
    return [f"{clock(each['at'])}  {_whence(each):<7}  {each['text']}" for each in found]


def _whence(line: Document) -> str:
    return "system" if line["system"] else "stderr" if line["stderr"] else "stdout"


def _device(each: Document) -> tuple[str, ...]:
    board, device = each["balena"] or {}, each["device"] or {}
    pinned = " (pinned)" if board.get("pinned") else ""
    should_run = _name(board.get("should_run"))
    return (
        text(each["name"]),
        WHERE[each["where"]],
        _either(board.get("online"), "online", "offline"),
        text(board.get("status")),
        number(board.get("temperature_c"), "°C"),
        _either(board.get("undervolted"), "undervolted", "ok"),
        _name(board.get("runs")),
        should_run if should_run == ABSENT else f"{should_run}{pinned}",
        text(device.get("id")),
        text(device.get("health")),
        span(device.get("reading_age_s")),
        text(device.get("runs")),
        text(each["uuid"]),
    )


def _name(release: Document | None) -> str:
    return text((release or {}).get("name"))


def _either(fact: bool | None, yes: str, no: str) -> str:
    return ABSENT if fact is None else yes if fact else no
