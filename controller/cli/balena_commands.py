"""Commands about boards that run balenaOS: what balena knows of them, their releases, pins and logs."""

import re
from typing import Annotated, Any, Literal

import typer

from broker.errors import InvalidError, NotFoundError
from controller.cli.command import command, group
from controller.cli.console import Console
from controller.cli.exits import Exit

Fleet = Annotated[str, typer.Option(metavar="ORG/FLEET", help="Which fleet; the configured one else.")]
Board = Annotated[str, typer.Argument(metavar="UUID|ID", help="Balena's uuid of the board, or our id of a device.")]
_UUID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{62}", re.IGNORECASE)


def add_to(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    balena = group("balena", "Boards that run balenaOS, beside what is known of them here.")
    command(balena, "devices", example="edgewatt balena devices --where balena")(_devices)
    command(balena, "releases", example="edgewatt balena releases --fleet acme/line")(_releases)
    command(balena, "deploy", example="edgewatt balena deploy 2841337 --device pi5-1 --dry-run")(_deploy)
    command(balena, "logs", example="edgewatt balena logs pi5-1 --limit 50")(_logs)
    app.add_typer(balena)


def _devices(
    console: Console,
    *,
    fleet: Fleet = "",
    where: Annotated[
        Literal["", "both", "balena", "here"], typer.Option(help="Only those known to both, or to one side alone.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, max=1_000)] = 100,
    offset: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """List the boards of a fleet: what balena says, and what their agents said here."""
    from controller.cli import balena_tables  # noqa: PLC0415 - imported on use

    found = console.client.balena_devices(fleet, where=where, limit=limit, offset=offset)
    console.show(found, balena_tables.devices(found["devices"]))
    if not console.as_json:
        counts = found["counts"]
        told = f"{counts['both']} known to both, {counts['balena']} only at balena, {counts['here']} only here"
        console.say(f"{found['fleet']}: {told}")


def _releases(console: Console, *, fleet: Fleet = "", limit: Annotated[int, typer.Option(min=1, max=100)] = 20) -> None:
    """List the releases of a fleet, newest first; only successful ones can be pinned."""
    from controller.cli import balena_tables  # noqa: PLC0415 - imported on use

    found = console.client.balena_releases(fleet, limit=limit)
    console.show(found, balena_tables.releases(found))
    if not console.as_json:
        tracks = found["fleet"]["tracks_latest"]
        console.say(f"{found['fleet']['slug']} {'takes each new release' if tracks else 'stays on what is pinned'}")


def _deploy(
    console: Console,
    release_id: Annotated[int, typer.Argument(metavar="RELEASE", help="The release's number.", min=1)],
    *,
    device: Annotated[str, typer.Option(metavar="UUID|ID", help="Pin it on this one board.")] = "",
    fleet: Annotated[str, typer.Option(metavar="ORG/FLEET", help="Pin it on this whole fleet.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> int | None:
    """Pin a successful release on one board, or on a whole fleet and with it all boards without a pin of their own."""
    if bool(device) == bool(fleet):
        raise InvalidError("name what the release is for", code="usage", hint="either --device or --fleet")
    pin = console.client.balena_pin_device if device else console.client.balena_pin_fleet
    target = _uuid(console, device) if device else fleet
    plan = pin(target, release_id=release_id, dry_run=True)
    if dry_run or not plan["changed"]:
        _show(console, plan)
        return None
    if not console.agrees(f"{_what(plan)}?", yes=yes):
        return Exit.INTERRUPTED
    _show(console, pin(target, release_id=release_id))
    return None


def _logs(
    console: Console,
    board: Board,
    *,
    limit: Annotated[int, typer.Option(help="The newest so many; balena keeps 1000.", min=1, max=1_000)] = 100,
) -> None:
    """Print what a board sent to balena, oldest first."""
    from controller.cli import balena_tables  # noqa: PLC0415 - imported on use

    found = console.client.balena_logs(_uuid(console, board), limit=limit)
    if console.as_json:
        console.show(found)
        return
    for line in balena_tables.lines(found["lines"]):
        console.line(None, line)
    if not found["lines"]:
        console.say("balena has no lines of it")


def _show(console: Console, plan: dict[str, Any]) -> None:
    from controller.cli import balena_tables  # noqa: PLC0415 - imported on use

    console.show(plan, balena_tables.plan(plan))
    if not console.as_json:
        console.say(f"{'would be: ' if plan['dry_run'] and plan['changed'] else ''}{plan['message']}")


def _what(plan: dict[str, Any]) -> str:
    release, names = plan["release"], [str(each["name"] or each["uuid"]) for each in plan["devices"]]
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")  # noqa: PLR2004 - so many are read
    kept = f"; {plan['kept']} with a pin of their own stay" if plan["kept"] else ""
    whom = (
        plan["name"] if plan["target"] == "device" else f"the fleet {plan['name']}: {len(names)} boards ({shown}){kept}"
    )
    return f"Pin release {release['name']} on {whom}"


def _uuid(console: Console, name: str) -> str:
    """Return balena's uuid of a board named by it, or by our id of the device on it."""
    if _UUID.fullmatch(name):
        return name
    uuid = console.client.device(name)["device"].get("balena_uuid")
    if not uuid:
        hint = "its agent runs in no container of balenaOS, or is too old to say; take the uuid from balena"
        raise NotFoundError(f"{name} does not say what balena calls it", hint=hint)
    return str(uuid)
