"""Versions of a model as tables; pure."""

from collections.abc import Mapping
from typing import Any

from controller.cli.console import Table
from controller.cli.figures import ABSENT, clock, number, text

Document = Mapping[str, Any]

SHORT = 12
UNITS = {"energy_mj": "mJ", "latency_p95_ms": "ms", "memory_mb": "MB", "top1_pct": "%"}
CALLED = {"energy_mj": "energy", "latency_p95_ms": "p95", "memory_mb": "memory", "top1_pct": "top-1"}


def versions(found: Document) -> list[Table]:
    """Return the versions, and for each that has one before it what it costs beside that."""
    head = ("version", "", "formats", "size", "came", "origin", "top-1", "runs on")
    tables = [Table(columns=head, rows=[_version(each) for each in found["versions"]])]
    columns = ("on", "what", "kind", "before", "now", "change", "devices before/now")
    for each in found["versions"]:
        if each["changes"]:
            title = f"{each['sha256'][:SHORT]} beside {each['previous_sha256'][:SHORT]}"
            tables.append(Table(columns=columns, rows=[_change(change) for change in each["changes"]], title=title))
    return tables


def _version(each: Document) -> tuple[str, ...]:
    marks = [word for word in ("promoted", "archived") if each[word]]
    runs = ", ".join(f"{count} {health.replace('_', ' ')}" for health, count in sorted(each["runs"].items()))
    return (
        each["sha256"][:SHORT],
        ", ".join(marks),
        ", ".join(each["formats"]) or "gone",
        number(each["size"] / 1e6, "MB"),
        clock(each["created_at"]),
        text(each["source"]),
        number(each["top1_pct"], "%"),
        runs or ABSENT,
    )


def _change(each: Document) -> tuple[str, ...]:
    unit = UNITS[each["quantity"]]
    figures = [number((each[name] or {}).get("value"), unit) for name in ("old", "new")]
    behind = [_behind(each[name]) for name in ("old", "new")]
    return (
        each["device_type"] or ABSENT,
        CALLED[each["quantity"]],
        each["kind"],
        *figures,
        each["sentence"],
        " / ".join(behind) if any(count != ABSENT for count in behind) else ABSENT,
    )


def _behind(figure: Document | None) -> str:
    """Return how many devices and measurements are behind a figure."""
    if not figure or figure["devices"] is None:
        return ABSENT
    more = f" ({figure['measurements']})" if figure["measurements"] != figure["devices"] else ""
    return f"{figure['devices']}{more}"
