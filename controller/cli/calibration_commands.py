"""Commands about how far predictions can be trusted: calibrate a device, read the ledger."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from broker.errors import InvalidError
from controller.cli.command import command, group
from controller.cli.console import Console
from controller.cli.exits import Exit

LOOK_EVERY_S = 0.5
FIGURES = ("params_m", "gflops", "gmacs", "macts_m", "size_mb", "dw_gmacs", "n_convs", "input_res", "energy_mj")
WHOLE = frozenset({"n_convs", "input_res"})
Document = dict[str, Any]


def add_to_devices(devices: typer.Typer) -> None:
    """Add `calibrate` to the commands about devices."""
    command(devices, "calibrate", example="edgewatt devices calibrate pi5-1 --wait")(_calibrate)


def add_to(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    ledger = group("ledger", "Predictions beside what devices then measured.")
    command(ledger, "list", example="edgewatt ledger list --device pi5-1")(_list)
    command(ledger, "summary", example="edgewatt ledger summary")(_summary)
    app.add_typer(ledger)


def _calibrate(
    console: Console,
    device: Annotated[str, typer.Argument(metavar="ID", help="The device.")],
    *,
    models: Annotated[
        str, typer.Option(metavar="A,B", help="What you want to deploy there; the whole catalogue when absent.")
    ] = "",
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Figures measured already: model, energy_mj, source.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow it to its end.")] = False,
    within: Annotated[float, typer.Option(help="Seconds to wait.", min=0)] = 1_800.0,
    show: Annotated[bool, typer.Option("--show", help="Only look how it stands.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="End the calibration that is open.")] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Take the correction back; the one before is used again.")
    ] = False,
) -> int | None:
    """Measure up to ten models on an idle device and correct its predictions by them."""
    client = console.client
    if sum((show, cancel, undo, csv is not None)) > 1:
        raise InvalidError("--show, --cancel, --undo and --csv exclude each other", code="usage")
    if undo:
        answer = client.undo_calibration(device)
        _told(console, answer, [answer["correction"]] if answer["correction"] else [])
        console.say("no correction is left" if answer["correction"] is None else "the one before is used again")
    elif csv is not None:
        answer = client.calibrate(device, rows=read_rows(csv))
        _told(console, answer, [answer["correction"]])
    elif cancel:
        return _showing(console, client.cancel_calibration(device)["calibration"])
    elif show:
        answer = client.calibration(device)
        _told(console, answer, answer["history"])
        if answer["calibration"] and not console.as_json:
            return _showing(console, answer["calibration"])
    else:
        begun = client.calibrate(device, models=[name.strip() for name in models.split(",") if name.strip()])
        return _followed(console, device, within) if wait else _showing(console, begun["calibration"])
    return None


def read_rows(path: Path) -> list[Document]:
    """Return the rows of a CSV file with the columns model, energy_mj (per inference) and source.

    Columns of the model's figures may stand in for a model that is not in the catalogue. Raises InvalidError.
    """
    import csv  # noqa: PLC0415 - imported on use

    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            found = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidError(f"cannot read {path}: {error}", hint="a CSV file with a header line", field="csv") from None
    if not found or "energy_mj" not in found[0]:
        raise InvalidError(
            f"{path} has no column energy_mj",
            hint="mJ of one inference; mWh of a run are x 3600 / the inferences of that run",
            field="energy_mj",
        )
    return [_row(number, row) for number, row in enumerate(found, start=2)]


def _row(line: int, row: dict[str, str | None]) -> Document:
    given = {"model_name": row.get("model") or row.get("model_name") or "", "source": (row.get("source") or "").strip()}
    try:
        figures = {
            name: int(text) if name in WHOLE else float(text)
            for name in FIGURES
            if (text := (row.get(name) or "").strip())
        }
    except ValueError as error:
        raise InvalidError(f"line {line}: {error}", hint="figures only, without units", field="csv") from None
    quantized = (row.get("quantized") or "").strip().lower()
    return given | figures | ({"quantized": quantized in {"1", "true", "yes"}} if quantized else {})


def _followed(console: Console, device: str, within_s: float) -> int:
    ends_at = time.monotonic() + within_s
    said = ""
    while True:
        answer = console.client.calibration(device)
        found = answer["calibration"]
        line = (
            f"{found['state']}: {found['measured']} of {found['total']} models measured {found['reason'] or ''}".strip()
        )
        if line != said:
            console.say(line)
            said = line
        if found["ended"]:
            if found["state"] == "done" and answer["correction"]:
                console.say(answer["correction"]["sentence"])
            return _showing(console, found)
        if time.monotonic() >= ends_at:
            console.say(f"no end after {within_s:g} s; it goes on")
            return Exit.TIMED_OUT
        time.sleep(LOOK_EVERY_S)


def _showing(console: Console, calibration: Document) -> int:
    from controller.cli import ledger_tables  # noqa: PLC0415 - imported on use

    console.show(calibration, *ledger_tables.calibration(calibration))
    return Exit.FAILED if calibration["state"] == "failed" else Exit.DONE


def _told(console: Console, answer: Document, corrections: list[Document]) -> None:
    from controller.cli import ledger_tables  # noqa: PLC0415 - imported on use

    console.show(answer, ledger_tables.corrections(corrections))


def _list(
    console: Console,
    *,
    device: Annotated[str, typer.Option(metavar="ID", help="Only this device.")] = "",
    board: Annotated[str, typer.Option(metavar="TYPE", help="Only this type of device.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1_000)] = 50,
) -> None:
    """List predictions beside what devices reported, newest first."""
    from controller.cli import ledger_tables  # noqa: PLC0415 - imported on use

    found = console.client.ledger(device_type=board, device_id=device, limit=limit)
    console.show(found, ledger_tables.entries(found["entries"]))


def _summary(
    console: Console,
    *,
    board: Annotated[str, typer.Option(metavar="TYPE", help="Only this type of device.")] = "",
) -> None:
    """Show how far predictions were off, by board, family and age, and which devices drift."""
    from controller.cli import ledger_tables  # noqa: PLC0415 - imported on use

    found = console.client.ledger(device_type=board, limit=1)
    console.show({name: found[name] for name in ("summary", "drift")}, *ledger_tables.summary(found))
