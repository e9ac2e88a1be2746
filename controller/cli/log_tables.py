"""What is kept of the log, and how deployments ended, as tables; pure."""

from collections.abc import Mapping
from typing import Any

from controller.cli.console import Table
from controller.cli.figures import ABSENT, clock

Document = Mapping[str, Any]


def kept(document: Document) -> Table:
    """Return the log itself and each archive file, with what is in it and how long it stays."""
    stream = document["stream"]
    span = f"{clock(stream['first_at'])} to {clock(stream['last_at'])}" if stream["events"] else ABSENT
    rows = [("the log itself", f"{stream['events']:,}", span, ABSENT, ABSENT)]
    rows += [
        (
            each["name"],
            f"{each['events']:,}",
            f"archived {clock(each['made_at'])}",
            _kb(each["size"]),
            clock(each["kept_until"]),
        )
        for each in document["archives"]
    ]
    return Table(columns=("what", "events", "when", "size", "kept until"), rows=rows)


def ended(summary: Document) -> Table:
    """Return how deployments ended, and the share of successes among those that were decided."""
    rate = summary["success_rate"]
    row = (
        f"{summary['total_deployments']:,}",
        f"{summary['success_count']:,}",
        f"{summary['error_count']:,}",
        f"{summary['neither_count']:,}",
        f"{summary['open_count']:,}",
        ABSENT if rate is None else f"{rate:.0%}",
    )
    columns = ("deployments", "succeeded", "errors", "neither", "moving", "success rate")
    return Table(columns=columns, rows=[row], title="how they ended")


def _kb(size: int) -> str:
    return f"{size / 1e3:,.1f} kB"
