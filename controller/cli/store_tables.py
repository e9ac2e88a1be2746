"""Tables about the files of models."""

from collections.abc import Iterable
from typing import Any

from controller.cli.console import Table
from controller.cli.figures import number, text


def checked(found: Iterable[dict[str, Any]]) -> Table:
    """Return one row per file that was read again."""
    columns = ("model", "format", "content", "signature", "golden check", "size", "sha256")
    return Table(columns=columns, rows=[_row(each) for each in found])


def _row(each: dict[str, Any]) -> tuple[str, ...]:
    return (
        each["model"],
        each["format"],
        each["content"],
        each["signature"],
        _golden(each.get("golden")),
        number(each["size"] / 1e6, "MB"),
        each["sha256"][:12],
    )


def _golden(golden: dict[str, Any] | None) -> str:
    if golden is None:
        return text(None)
    return (
        f"{golden['top1_agreement']:.0%} of {golden['inputs']} as {golden['against']}, off by {golden['max_abs']:.2g}"
    )
