"""Commands that have models made, and that follow the workshop's jobs."""

from pathlib import Path
from typing import Annotated, Any

import typer

from broker.errors import EdgeWattError, NotFoundError
from controller.cli.command import command, group
from controller.cli.console import Console
from controller.cli.exits import Exit
from controller.models.manifest import Format, Variant

FormatOption = Annotated[Format, typer.Option("--format", help="The file's format.")]
VariantOption = Annotated[
    Variant | None, typer.Option("--variant", help="fp16 or int8 for a smaller file; a name may say it too.")
]
Again = Annotated[bool, typer.Option("--again", help="Try even what failed before for a reason that lasts.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the job to its end.")]
JobId = Annotated[str, typer.Argument(metavar="ID", help="The job.")]


def add_to(app: typer.Typer, models: typer.Typer) -> None:
    """Add the jobs to `app`, and what begins one to its group `models`."""
    command(models, "download", example="edgewatt models download mobilenetv3_small_050")(_download)
    command(models, "convert", example="edgewatt models convert resnet18 --format tflite --variant int8")(_convert)
    jobs = group("jobs", "What the workshop makes.")
    command(jobs, "list", example="edgewatt jobs list --state running")(_list)
    command(jobs, "show", example="edgewatt jobs show job_20261125_101500_1f00")(_show)
    command(jobs, "cancel", example="edgewatt jobs cancel job_20261125_101500_1f00")(_cancel)
    app.add_typer(jobs)


def _download(
    console: Console,
    model: Annotated[str, typer.Argument(help="A network that is listed.")],
    *,
    untrained: Annotated[bool, typer.Option("--untrained", help="With random weights, as NAME_untrained.")] = False,
    format_: FormatOption = "onnx",
    variant: VariantOption = None,
    again: Again = False,
    wait: Wait = True,
) -> int:
    """Bring a network into the store, with its published weights."""
    wanted = {"untrained": untrained, "format": format_, "variant": variant, "again": again}
    return _follow(console, console.client.download(model, **wanted), wait=wait)


def _convert(
    console: Console,
    model: Annotated[str, typer.Argument(help="A model that is stored or listed.")],
    *,
    format_: FormatOption,
    variant: VariantOption = None,
    calibration: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Images for int8, on the controller's machine; it has some of its own."),
    ] = None,
    again: Again = False,
    wait: Wait = True,
) -> int:
    """Make a model in another format or variant; the new file is compared with what it was made from."""
    folder = str(calibration.absolute()) if calibration else None
    wanted = {"format": format_, "variant": variant, "calibration": folder, "again": again}
    return _follow(console, console.client.convert(model, **wanted), wait=wait)


def _list(
    console: Console,
    *,
    state: Annotated[str, typer.Option(help="queued, running, done, failed or cancelled.")] = "",
    model: Annotated[str, typer.Option(help="Only of this model.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1_000)] = 25,
) -> None:
    """List what the workshop makes and made, the newest first."""
    from controller.cli import job_tables  # noqa: PLC0415 - imported on use

    found = console.client.jobs(state=state, model=model, limit=limit)
    console.show(found, job_tables.jobs(found["jobs"]))


def _show(console: Console, job: JobId) -> None:
    """Show one job, how far it is and how it ended."""
    from controller.cli import job_tables  # noqa: PLC0415 - imported on use

    found = console.client.job(job)["job"]
    console.show(found, job_tables.job(found))


def _cancel(console: Console, job: JobId) -> None:
    """End a job that waits or runs; a deployment that waits for it fails."""
    answer = console.client.cancel_job(job)
    if console.as_json:
        console.show(answer)
    console.say(f"{job} is cancelled")


def _follow(console: Console, begun: dict[str, Any], *, wait: bool) -> int:
    """Show what was there already; else the job, followed to its end unless nobody waits."""
    from controller.cli import job_tables  # noqa: PLC0415 - imported on use
    from controller.cli.following import job_end  # noqa: PLC0415

    if "sha256" in begun:
        console.show(begun, job_tables.artifact(begun))
        console.say(begun["message"])
        return Exit.DONE
    job = begun["job"]
    if not wait:
        console.show(job, job_tables.job(job))
        return Exit.DONE
    try:
        with console.progress(job["model"]) as told:
            ended = job_end(console.client, job["id"], lambda each: told(each["progress"], _words(each)))
    except KeyboardInterrupt:
        console.say(f"no longer waiting; it goes on: edgewatt jobs show {job['id']}")
        return Exit.INTERRUPTED
    if ended["state"] != "done":
        raise _error(ended)
    console.show(ended, job_tables.job(ended))
    return Exit.DONE


def _error(ended: dict[str, Any]) -> EdgeWattError:
    kind = NotFoundError if ended["code"] == "unknown_model" else EdgeWattError
    said = f"{ended['model']} was not made: {ended['message']}"
    return kind(said, code=ended["code"], hint=ended["hint"] or "", job=ended["id"])


def _words(job: dict[str, Any]) -> str:
    return str(job["step"] or job["state"])
