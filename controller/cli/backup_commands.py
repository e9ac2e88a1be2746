"""Commands that keep a controller's data safe: a backup, and the way back."""

import time
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.command import command
from controller.cli.console import Console

Data = Annotated[Path | None, typer.Option(help="The controller's data folder [EDGEWATT_DATA; .edgewatt].")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    command(app, "backup", example="edgewatt backup --data .edgewatt/up/controller --out backup.tar")(_backup)
    command(app, "restore", example="edgewatt restore backup.tar --data .edgewatt/up/controller")(_restore)


def _backup(
    console: Console,
    *,
    out: Annotated[Path, typer.Option(help="A file that is not there yet (.tar or .tar.gz), or a folder.")],
    data: Data = None,
    with_secrets: Annotated[
        bool, typer.Option("--with-secrets", help="Also keys, passwords and certificates: the folder security.")
    ] = False,
    keep: Annotated[
        int, typer.Option(help="Leave so many backups in the folder --out.", min=0, show_default=False)
    ] = 0,
) -> None:
    """Back up database, models, predictors and archives of a controller, which may go on working.

    Keys and passwords stay out unless asked for: backups travel. Without them, and without a copy of the folder
    security, every device has to be enrolled again after a restore.
    """
    from importlib.metadata import version  # noqa: PLC0415 - imported on use

    from controller.backups import said  # noqa: PLC0415
    from controller.backups.taking import take  # noqa: PLC0415
    from controller.settings import load  # noqa: PLC0415

    settings = load({"data": data})
    with console.busy("copying"):
        secrets = settings.security_folder.root
        taken = secrets if with_secrets else None
        made = take(
            settings.data,
            out,
            version=version("edgewatt"),
            at=time.time(),
            secrets=taken,
            elsewhere=bool(settings.database),
            keep=keep,
        )
    console.show({"success": True, **said.of_backup(made)})
    if not console.as_json:
        for line in said.backup_lines(made, security=secrets.is_dir()):
            console.say(line)


def _restore(
    console: Console,
    file: Annotated[Path, typer.Argument(help="What `edgewatt backup` made.")],
    *,
    data: Data = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also into a folder with data; that is kept beside it.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the file to its last byte, and change nothing.")
    ] = False,
) -> None:
    """Make a data folder what it was when a backup was made; the controller must not run on it.

    Every file is checked before anything changes, then the folder appears in one step.
    """
    from controller.backups import restoring, said  # noqa: PLC0415 - imported on use
    from controller.settings import load  # noqa: PLC0415
    from controller.storage.schema import migrations  # noqa: PLC0415

    if dry_run:
        with console.busy("reading"):
            manifest = restoring.check(file)
        console.show({"success": True, "dry_run": True, **said.of_manifest(manifest)})
        if not console.as_json:
            console.say(f"{file} is whole: {said.contents_of(manifest)}")
        return
    with console.busy("restoring"):
        done = restoring.restore(file, data or load({}).data, steps=migrations.names, at=time.time(), force=force)
    console.show({"success": True, **said.of_restored(done)})
    if not console.as_json:
        for line in said.restored_lines(done):
            console.say(line)
