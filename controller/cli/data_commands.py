"""Commands about measurements that people bring along; they need no controller."""

from pathlib import Path
from typing import Annotated

import typer

from broker.errors import InvalidError
from controller.cli.command import command, group
from controller.cli.console import Console
from controller.cli.exits import Exit
from controller.cli.predictor_commands import HOME, Kept


def add_to(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    data = group("data", "Measurements that you have already.")
    command(data, "import", example="edgewatt data import my_runs.csv --device raspberry_pi_5 --dry-run")(_import)
    app.add_typer(data)


def _import(
    console: Console,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV file: a header, then one measured model a line.")],
    *,
    device: Annotated[
        str, typer.Option(metavar="TYPE", help="The board it was measured on, where the file does not say.")
    ] = "",
    iterations: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Inferences of a run, where the file does not say.")
    ] = None,
    runtime: Annotated[str, typer.Option(metavar="NAME", help="The runtime, where the file does not say.")] = "",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the rows here, not to the controller's data folder.")
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the report here, as JSON.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")] = False,
    kept: Kept = HOME,
) -> int:
    """Bring a file of measurements to our columns and units, and say of each row what was done to it.

    Every row is accepted, repaired or rejected, with the reason. An energy is brought to mJ per inference only where it
    is known of how many inferences it is. Exit code 1 when no row stands.
    """
    from controller.cli import data_tables  # noqa: PLC0415 - imported on use
    from controller.dataset import report as reports  # noqa: PLC0415
    from controller.dataset.cases import Told  # noqa: PLC0415
    from controller.dataset.importing import imported  # noqa: PLC0415
    from controller.dataset.known import known  # noqa: PLC0415
    from controller.dataset.writing import FOLDER, write_rows, write_text  # noqa: PLC0415

    target = out or kept / FOLDER / f"{file.stem}.csv"
    _check_target(file, target, report)
    with console.busy(f"reading {file.name}"):
        done = imported(file, Told(device=device, iterations=iterations, runtime=runtime), known)
    rows = done.rows
    written = str(target) if rows and not dry_run else None
    document = reports.document(done, written)
    if written:
        write_rows(rows, target)
    if report and not dry_run:
        write_text(reports.written(document), report)
    console.show(document, *data_tables.report(document))
    for line in data_tables.closing(document, dry_run=dry_run):
        console.say(line)
    return Exit.DONE if rows else Exit.FAILED


def _check_target(file: Path, target: Path, report: Path | None) -> None:
    for path in (target, report):
        if path is not None and path.exists() and file.exists() and path.samefile(file):
            raise InvalidError(f"{path} is the file that is read", hint="write to another one", field="out")
    if report is not None and report.absolute() == target.absolute():
        raise InvalidError(f"{report} cannot hold both the rows and the report", hint="name two files", field="report")
