"""Commands that teach a shell to complete `edgewatt`."""

from typing import Annotated, Literal

import typer

from controller.cli.command import command, group
from controller.cli.console import Console, Table

ShellName = Literal["bash", "zsh", "fish"]
Shell = Annotated[ShellName | None, typer.Option("--shell", help="Which shell; the one of $SHELL else.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    completion = group("completion", "Tab in your shell: commands, ids of devices, tags, models, rollouts.")
    command(completion, "install", example="edgewatt completion install")(_install)
    command(completion, "show", example="edgewatt completion show --shell bash")(_show)
    app.add_typer(completion)


def _install(
    console: Console,
    *,
    shell: Shell = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
) -> None:
    """Install completion for your shell; says which files it changed. A second time it changes nothing."""
    from controller.cli import completion  # noqa: PLC0415 - imported on use

    chosen = shell or completion.shell_of_user()
    changes = completion.changes(chosen)
    if not dry_run:
        completion.apply(changes)
    document = {"success": True, "shell": chosen, "dry_run": dry_run, "changes": [each.document for each in changes]}
    console.show(document, Table(columns=("file", "change"), rows=[(str(each.path), each.what) for each in changes]))
    if not changes:
        console.say(f"{chosen} completes edgewatt already")
    elif not dry_run:
        console.say(f"begin a new {chosen}, or: exec {chosen}")


def _show(console: Console, *, shell: Shell = None) -> None:
    """Print the script, to be put where your shell finds it."""
    from controller.cli import completion  # noqa: PLC0415 - imported on use

    chosen = shell or completion.shell_of_user()
    console.line({"shell": chosen, "script": completion.script(chosen)}, completion.script(chosen).rstrip())
