"""Commands about a user's own model files."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from broker.errors import ArtifactError, NotFoundError
from controller.cli.command import command
from controller.cli.console import Console, Table

CHUNK_BYTES = 1 << 20

File = Annotated[
    Path, typer.Argument(metavar="FILE", help="An .onnx, .tflite or .safetensors file.", show_default=False)
]


def add_to(models: typer.Typer) -> None:
    """Add the commands to the noun `models`."""
    command(models, "add", example="edgewatt models add my_net.onnx --name my_net --top1 71.2")(_add)
    command(models, "analyze", example="edgewatt models analyze my_net.tflite")(_analyze)


def _add(
    console: Console,
    file: File,
    *,
    name: Annotated[str, typer.Option(help="What to call it; else what the file calls itself, or its name.")] = "",
    architecture: Annotated[
        str, typer.Option(metavar="TIMM_NAME", help="The network that a .safetensors file has the weights of.")
    ] = "",
    top1: Annotated[
        float | None, typer.Option(min=0, max=100, help="Its accuracy on data it was not trained on, percent.")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="The licence of its weights, e.g. Apache-2.0.")] = None,
) -> None:
    """Send a model file to the controller, which reads it, and keeps it when it is sound."""
    size = _size(file)
    with _opened(file) as content, _progress(console, file.name, size) as advance:
        answer = console.client.upload(
            _chunks(content, advance),
            size,
            filename=file.name,
            name=name,
            architecture=architecture,
            top1_pct=top1,
            licence=licence,
        )
    if "job_id" in answer:
        done = f"{answer['model']} is being made: job {answer['job_id']}"
    else:
        done = f"{answer['model']} was added as {answer['format']}, sha256 {answer['sha256']}"
    if console.as_json:
        console.show(answer)
    else:
        console.line(answer, done)
    if not answer.get("means_it", True):
        onward = f"edgewatt models promote {answer['model']} {answer['sha256'][:8]}"
        console.say(f"{answer['model']} still means {answer['means']}; {onward} lets it mean this file")


def _analyze(console: Console, file: File) -> None:
    """Tell what a model file holds, read on this machine without running it; no controller is needed."""
    from controller.models.analyze import analyze  # noqa: PLC0415 - imported on use
    from controller.models.fact_sheet import fact_sheet  # noqa: PLC0415

    _size(file)
    sheet = fact_sheet(analyze(file))
    console.show({"file": str(file)} | sheet, _facts(file, sheet), _operators(sheet))
    for note in sheet["notes"]:
        console.say(f"note: {note}")


def _facts(file: Path, sheet: dict[str, Any]) -> Table:
    opset = f", opset {sheet['opset']}" if sheet["opset"] else ""
    macts = f"{sheet['macts_m']:.4g} M" if sheet["macts_m"] else "none"
    rows = [
        ("file", str(file)),
        ("format", f"{sheet['format']}{opset}"),
        ("numbers", sheet["precision"]),
        ("parameters", f"{sheet['params_m']:.4g} M"),
        ("MACs", f"{sheet['gmacs'] * 1e3:.4g} M, {sheet['dw_gmacs'] * 1e3:.4g} M of them depthwise"),
        ("activations", f"{macts} in {sheet['n_convs']} convolutions"),
        ("size", f"{sheet['size_mb']:.4g} MB"),
        *(("input", _end(*each)) for each in sheet["inputs"].items()),
        *(("output", _end(*each)) for each in sheet["outputs"].items()),
        *sheet["metadata"].items(),
    ]
    return Table(columns=("what", "value"), rows=rows)


def _operators(sheet: dict[str, Any]) -> Table:
    rows = [(kind, str(count)) for kind, count in sheet["operators"].items()]
    return Table(columns=("operator", "count"), rows=rows, title="operators")


def _end(name: str, end: dict[str, Any]) -> str:
    return f"{name}: {'x'.join(map(str, end['shape']))} {end['dtype']}"


def _size(file: Path) -> int:
    from controller.models.recognise import size_of  # noqa: PLC0415 - imported on use

    if not file.exists():
        raise NotFoundError(f"there is no file {file}", hint="check the path")
    return size_of(file)


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    try:
        content = file.open("rb")
    except OSError as error:
        raise ArtifactError(f"cannot read {file}: {error.strerror}", hint="check its permissions") from None
    with content:
        yield content


def _chunks(content: IO[bytes], advance: Callable[[int], object]) -> Iterator[bytes]:
    while chunk := content.read(CHUNK_BYTES):
        yield chunk
        advance(len(chunk))


@contextmanager
def _progress(console: Console, name: str, size: int) -> Iterator[Callable[[int], object]]:
    """Draw a bar on a terminal's stderr that is told of each chunk that went out."""
    if console.quiet or console.as_json or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console as Rich  # noqa: PLC0415 - rich is loaded by what draws
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Rich(stderr=True)) as bar:
        task = bar.add_task(f"sending {name}", total=size)
        yield lambda count: bar.advance(task, count)
