"""Commands about the versions of a model: which there are, and which one its name means."""

from typing import Annotated

import typer

from broker.errors import InvalidError
from controller.cli.command import command
from controller.cli.console import Console
from controller.cli.exits import Exit


def add_to(models: typer.Typer) -> None:
    """Add the commands to the group `models`."""
    command(models, "versions", example="edgewatt models versions digits_cnn_s")(_versions)
    command(models, "promote", example="edgewatt models promote digits_cnn_s f389cfc9")(_promote)


def _versions(console: Console, model: str) -> None:
    """List the versions of a model, the newest first, where each runs, and what it costs beside the one before."""
    from controller.cli import version_tables  # noqa: PLC0415 - imported on use

    found = console.client.versions(model)
    console.show(found, *version_tables.versions(found))
    if not console.as_json:
        console.say(f"{model} means {found['means']}")


def _promote(
    console: Console,
    model: str,
    version: Annotated[
        str | None, typer.Argument(help="The beginning of its SHA-256, as `models versions` shows.")
    ] = None,
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Let the name mean its newest files again.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> int | None:
    """Let the bare name of a model mean one version, wherever it is given; no device is changed by that."""
    if (version is None) is not undo:
        raise InvalidError("say which version, or --undo", code="usage", hint=f"edgewatt models versions {model}")
    plan = console.client.promote_model(model, version=version, undo=undo, dry_run=True)
    if plan["changed"] and not dry_run:
        if not console.agrees(f"{plan['sentence']}. Do it?", yes=yes):
            return Exit.INTERRUPTED
        plan = console.client.promote_model(model, version=version, undo=undo)
    console.show(plan)
    console.say(f"{'would be: ' if dry_run and plan['changed'] else ''}{plan['sentence']}")
    return None
