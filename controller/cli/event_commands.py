"""Commands about what happened in the fleet: who, what, when, why."""

import time
from typing import Annotated, Any

import typer

from controller.cli.command import command, group
from controller.cli.console import Console

Kind = Annotated[str, typer.Option("--type", help="Only events of this type, such as deployment or presence.")]
Device = Annotated[str, typer.Option(metavar="ID", help="Only about this device.")]
Rollout = Annotated[str, typer.Option(metavar="ID", help="Only of this rollout and its deployments.")]
Who = Annotated[
    str, typer.Option(help="Only by these: cli, dashboard, rest, mqtt (typed), controller, device, or an id.")
]
Words = Annotated[str, typer.Option("--matching", metavar="WORDS", help="Only with all of these words.")]
Since = Annotated[str, typer.Option(metavar="TIME", help="From then on: 14:02, 2026-11-25T14:02 (UTC), 90min.")]
Until = Annotated[str, typer.Option(metavar="TIME", help="Before then.")]
At = Annotated[str, typer.Option(metavar="TIME", help="Five minutes before and after then.")]
Milestones = Annotated[
    bool, typer.Option("--milestones", help="No log lines, and of a deployment only how it began and ended.")
]
PAGE = 1_000


def add_to(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    events = group("events", "What happened in the fleet: who, what, when, why.")
    command(events, "list", example="edgewatt events list --at 14:02")(_list)
    command(events, "follow", example="edgewatt events follow --device pi5-1")(_follow)
    app.add_typer(events)


def _list(
    console: Console,
    *,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 50,
    kind: Kind = "",
    device: Device = "",
    rollout: Rollout = "",
    who: Who = "",
    since: Since = "",
    until: Until = "",
    at: At = "",
    matching: Words = "",
    milestones: Milestones = False,
) -> None:
    """List events, the newest first."""
    from controller.cli import tables  # noqa: PLC0415 - imported on use

    asked: dict[str, Any] = {"kind": kind, "device_id": device, "rollout_id": rollout, "who": who}
    asked |= {"q": matching, "milestones": milestones, "since": since, "until": until, "at": at}
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None and len(found) < limit:
        page = console.client.logs(limit=min(PAGE, limit - len(found)), cursor=cursor, **asked)
        found += page["logs"]
        cursor = page.get("next_cursor")  # absent from a controller that had no pages
    console.show(page | {"logs": found}, tables.events(found))
    if cursor and not console.as_json:
        console.say(f"there are older ones: --limit {4 * limit}, or --until {found[-1]['at']:.0f}")


def _follow(
    console: Console,
    *,
    kind: Kind = "",
    device: Device = "",
    rollout: Rollout = "",
    who: Who = "",
    matching: Words = "",
    milestones: Milestones = False,
    last: Annotated[int, typer.Option(min=0, max=PAGE, help="Begin with so many that happened already.")] = 20,
    every: Annotated[float, typer.Option(help="Seconds between looks.", min=0.1)] = 1.0,
    rounds: Annotated[int, typer.Option(help="End after so many looks; 0 goes on until Ctrl-C.", min=0)] = 0,
) -> None:
    """Print events as they happen, until Ctrl-C; none is missed between two looks."""
    asked: dict[str, Any] = {"kind": kind, "device_id": device, "rollout_id": rollout, "who": who}
    asked |= {"q": matching, "milestones": milestones}
    newest = console.client.logs(limit=1)["logs"]
    begun = console.client.logs(limit=last, **asked)["logs"] if last else []
    _print(console, reversed(begun))
    after, looks = max((each["id"] for each in (*newest, *begun)), default=0), 1
    while looks != rounds:
        time.sleep(every)
        looks += 1
        while found := console.client.logs(limit=PAGE, after=str(after), **asked)["logs"]:
            _print(console, found)
            after = found[-1]["id"]


def _print(console: Console, found: Any) -> None:
    from controller.cli import tables  # noqa: PLC0415 - imported on use

    for each in found:
        console.line(each, "  ".join(tables.event(each)))
