"""Commands about the log as a whole: what is kept where, exports, clearing."""

import sys
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from broker.errors import StorageError
from controller.cli.command import command, group
from controller.cli.console import Console
from controller.cli.event_commands import Device, Kind, Milestones, Rollout, Since, Until, Who, Words
from controller.cli.exits import Exit

Form = Literal["csv", "json"]


def add_to(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    logs = group("logs", "The log as a whole: what is kept, exports, the archive.")
    command(logs, "list", example="edgewatt logs list")(_list)
    command(logs, "export", example="edgewatt logs export --format csv --out events.csv")(_export)
    command(logs, "clear", example="edgewatt logs clear --before 7d --yes")(_clear)
    app.add_typer(logs)


def _list(console: Console) -> None:
    """List what is kept: the log itself, and the archive files with the end of their time."""
    from controller.cli import log_tables  # noqa: PLC0415 - imported on use

    found = console.client.log_archives()
    console.show(found, log_tables.kept(found))


def _export(
    console: Console,
    *,
    form: Annotated[Form, typer.Option("--format", help="csv, or json with how the deployments ended.")] = "json",
    out: Annotated[Path | None, typer.Option(help="Write there instead of to stdout.")] = None,
    kind: Kind = "",
    device: Device = "",
    rollout: Rollout = "",
    who: Who = "",
    since: Since = "",
    until: Until = "",
    matching: Words = "",
    milestones: Milestones = False,
) -> None:
    """Write the log, or what is asked of it, as a file: newest first."""
    asked: dict[str, Any] = {"kind": kind, "device_id": device, "rollout_id": rollout, "who": who}
    asked |= {"q": matching, "milestones": milestones, "since": since, "until": until}
    with console.client.export_logs(form, **asked) as chunks:
        if out is None:
            sys.stdout.flush()
            for chunk in chunks:
                sys.stdout.buffer.write(chunk)
            return
        try:
            with out.open("wb") as file:
                file.writelines(chunks)
        except OSError as error:
            raise StorageError(f"cannot write {out}: {error.strerror}", hint="choose another --out") from None
    console.say(f"written to {out}")


def _clear(
    console: Console,
    *,
    before: Annotated[str, typer.Option(metavar="TIME", help="Only what is older: 7d, 2026-11-01.")] = "",
    reason: Annotated[str, typer.Option(help="Why; it is kept.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> int | None:
    """Move events into an archive file on the controller's disk; what still moves stays."""
    from controller.cli import figures  # noqa: PLC0415 - imported on use
    from controller.times import moment  # noqa: PLC0415

    limit = moment(before, time.time(), "before")
    which = "every event" if limit is None else f"every event before {figures.clock(limit)}"
    if not console.agrees(f"Move {which} into an archive file?", yes=yes):
        return Exit.INTERRUPTED
    done = console.client.clear_logs(before=before if limit is None else f"{limit:.0f}", reason=reason)
    if console.as_json:
        console.show(done)
    elif done["archived_to"] is None:
        console.say("there is nothing to clear")
    else:
        until = figures.clock(done["kept_until"])
        console.say(f"{done['removed']:,} events moved to {done['archived_to']}, kept until {until}")
    return None
