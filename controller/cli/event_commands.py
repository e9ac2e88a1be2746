"""Commands about what happened in the fleet: who, what, when, result."""

import time
from typing import Annotated, Any

import typer

from controller.cli.command import command, group
from controller.cli.console import Console

Kind = Annotated[str, typer.Option("--type", help="Only events of this type.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    events = group("events", "What happened in the fleet.")
    command(events, "list", example="edgewatt events list --limit 20")(_list)
    command(events, "follow", example="edgewatt events follow --json")(_follow)
    app.add_typer(events)


def _list(console: Console, *, limit: Annotated[int, typer.Option(min=1, max=1_000)] = 50, kind: Kind = "") -> None:
    """List the newest events."""
    from controller.cli import tables  # noqa: PLC0415 - imported on use

    found = console.client.logs(limit=limit, kind=kind)
    console.show(found, tables.events(found["logs"]))


def _follow(
    console: Console,
    *,
    kind: Kind = "",
    every: Annotated[float, typer.Option(help="Seconds between looks.", min=0.1)] = 1.0,
    rounds: Annotated[int, typer.Option(help="End after so many looks; 0 goes on until Ctrl-C.", min=0)] = 0,
) -> None:
    """Print events as they happen, until Ctrl-C."""
    from controller.cli import tables  # noqa: PLC0415 - imported on use

    seen: set[str] = set()
    looks = 0
    while True:
        found = console.client.logs(limit=200, kind=kind)["logs"]
        for each in sorted(found, key=_when):
            if repr(each) not in seen:
                console.line(each, "  ".join(tables.event(each)))
        seen = {repr(each) for each in found}
        looks += 1
        if looks == rounds:
            return
        time.sleep(every)


def _when(event: dict[str, Any]) -> float:
    return float(event.get("ts") or event.get("at") or 0)
