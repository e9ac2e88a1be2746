"""Commands that train, judge and choose what predicts; they need no controller."""

import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from broker.errors import StorageError
from controller.cli.command import command, group
from controller.cli.console import Console, Table

Rows = Annotated[
    list[Path] | None,
    typer.Option("--data", metavar="CSV", help="Measured rows; several times for several files."),
]
Kept = Annotated[
    Path,
    typer.Option("--controller-data", metavar="DIR", envvar="EDGEWATT_DATA", help="The controller's data folder."),
]
SET_COLUMNS = ("BOARD", "RUNTIME", "IN THE MEANS", "ERROR", "HELD", "NEW FAMILY", "HELD", "NEW BOARD")
HOME = Path(".edgewatt/up/controller")


def add_to(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    predictors = group("predictors", "What predicts energy: train it, judge it, choose it.")
    command(predictors, "train", example="edgewatt predictors train --data my_runs.csv")(_train)
    command(predictors, "evaluate", example="edgewatt predictors evaluate --html report.html")(_evaluate)
    command(predictors, "list", example="edgewatt predictors list")(_list)
    command(predictors, "use", example="edgewatt predictors use shipped")(_use)
    app.add_typer(predictors)


def _train(
    console: Console,
    *,
    data: Rows = None,
    device: Annotated[
        list[str] | None, typer.Option(metavar="BOARD", help="Only this board; the others stay as they are in use.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the folds; the same rows and seed give the same predictor.")] = 0,
    contest: Annotated[
        bool, typer.Option("--contest/--no-contest", help="Fit the baseline and a challenger on the same folds too.")
    ] = True,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Write here instead of keeping a version.")] = None,
    kept: Kept = HOME,
) -> None:
    """Train predictors on our measured rows and yours, beside the baseline and a challenger on the same folds.

    The new one is kept as a version; it answers when you say `edgewatt predictors use ID`.
    """
    from controller.predict import imported, publish, readings, train  # noqa: PLC0415 - imported on use
    from controller.predict.margins import RUNTIME  # noqa: PLC0415

    versions = _versions(kept)
    _say_not_read(console, kept, data or [])
    table, sha256 = readings.read(data or [], beside=True, say=console.say)
    version = sha256[:8] if data or device or seed else train.VERSION
    document = train.train(table, sha256, seed=seed, boards=device or [], version=version, say=console.say)
    for sentence in imported.unlearned(table, document["boards"], RUNTIME) if data and not device else ():
        console.say(sentence)
    if device:
        document["boards"] = _boards(versions.active_folder()) | document["boards"]
    if out:
        _write(publish, document, table, out, console, against=contest)
        console.show({"folder": str(out)}, Table(columns=("WRITTEN TO",), rows=[(str(out),)]))
        return
    with tempfile.TemporaryDirectory() as folder:
        _write(publish, document, table, Path(folder), console, trained_at=_now(), against=contest)
        named = versions.add(Path(folder))
    console.show({"id": named, "boards": _errors(document)}, _trained(document))
    console.say(f"kept as {named}; to let it answer: edgewatt predictors use {named}")


def _evaluate(
    console: Console,
    *,
    data: Rows = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Also draw a report with plots.")] = None,
) -> None:
    """Judge the predictor on rows it never saw: by architecture, by family, by board. Worked out now."""
    from controller.predict import assess, readings, report  # noqa: PLC0415 - imported on use

    table, _ = readings.read(data or [])
    found = assess.assess(table, console.say)
    console.show(found.document, *_judged(found))
    if html:
        try:
            html.write_text(report.page(found), "utf-8")
        except OSError as error:
            raise StorageError(f"cannot write {html}: {error.strerror}", hint="name another file") from None
        console.say(f"report: {html}")


def _list(console: Console, *, kept: Kept = HOME) -> None:
    """List the predictors that were trained, and which of them answers."""
    found = _versions(kept).all()
    documents = [
        {
            "id": version.id,
            "active": version.active,
            "trained_at": version.trained_at,
            "data_sha256": version.metadata["data"]["sha256"],
            "boards": {name: board["kinds"]["full"]["figures"] for name, board in version.metadata["boards"].items()},
        }
        for version in found
    ]
    rows = [
        (
            each["id"],
            "yes" if each["active"] else "",
            each["trained_at"] or "with EdgeWatt",
            str(len(each["boards"])),
            f"{_mean(each['boards'], 'mape_pct'):.1f} %",
            f"{_mean(each['boards'], 'family_mape_pct'):.1f} %",
        )
        for each in documents
    ]
    console.show(documents, Table(columns=("ID", "ANSWERS", "TRAINED", "BOARDS", "ERROR", "NEW FAMILY"), rows=rows))


def _use(console: Console, named: Annotated[str, typer.Argument(metavar="ID")], *, kept: Kept = HOME) -> None:
    """Let a version answer from now on; `shipped` goes back to the first."""
    versions = _versions(kept)
    before = versions.active
    versions.use(named, who="cli")
    console.show({"active": named, "before": before}, Table(columns=("ANSWERS", "BEFORE"), rows=[(named, before)]))
    console.say("a controller that runs takes it within a minute")


def _say_not_read(console: Console, kept: Path, data: list[Path]) -> None:
    """Name the files of imported measurements that lie in the data folder and are not among `data`."""
    from controller.dataset.writing import FOLDER  # noqa: PLC0415 - imported on use

    read = {path.resolve() for path in data}
    for path in sorted((kept / FOLDER).glob("*.csv")):
        if path.resolve() not in read:
            console.say(f"imported, not learned from: {path}; add --data {path}")


def _versions(kept: Path) -> Any:
    from controller.predict.versions import FOLDER, Versions  # noqa: PLC0415 - imported on use

    return Versions(folder=kept / FOLDER)


def _write(publish: Any, document: Any, table: Any, folder: Path, console: Console, **more: Any) -> None:
    try:
        publish.write(document, table, folder, say=console.say, **more)
    except OSError as error:
        raise StorageError(f"cannot write to {folder}: {error.strerror}", hint="name another folder") from None


def _boards(folder: Path) -> dict[str, Any]:
    from controller.predict.predictor import FILES  # noqa: PLC0415 - imported on use

    boards: dict[str, Any] = json.loads((folder / FILES.predictor).read_text("utf-8"))["boards"]
    return boards


def _now() -> str:
    from datetime import UTC, datetime  # noqa: PLC0415 - imported on use

    return datetime.now(UTC).isoformat(timespec="seconds")


def _errors(document: dict[str, Any]) -> dict[str, Any]:
    return {name: board["kinds"]["full"]["figures"] for name, board in document["boards"].items()}


def _mean(boards: dict[str, Any], figure: str) -> float:
    return sum(float(board[figure]) for board in boards.values()) / len(boards)


def _trained(document: dict[str, Any]) -> Table:
    rows = [
        (
            name,
            str(board["rows"]),
            str(sum(board["rejected"].values())),
            *(f"{_errors(document)[name][figure]:.1f} %" for figure in ("mape_pct", "coverage_pct", "width_pct")),
            f"{_errors(document)[name]['family_mape_pct']:.1f} %",
        )
        for name, board in document["boards"].items()
    ]
    return Table(columns=("BOARD", "ROWS", "LEFT OUT", "ERROR", "COVERAGE", "WIDTH", "NEW FAMILY"), rows=rows)


def _judged(found: Any) -> list[Table]:
    """Return the means beside what was published, every set, and how often the intervals of each board held."""
    from controller.predict.assess import BESIDE, PUBLISHED, by_board  # noqa: PLC0415 - imported on use

    document = found.document
    means = [
        (what, figure.replace("_", " ").replace(" percent", ""), f"{value:.1f} %", _published(PUBLISHED, what, figure))
        for what, figures in (
            ("seen", document["seen"]),
            ("unseen_family", document["unseen_family"]),
            ("new_board", document["new_board"]["10"]),
        )
        for figure, value in figures.items()
    ]
    sets = [
        (
            each["board"],
            each["runtime"],
            "" if (each["board"], each["runtime"]) in BESIDE else "yes",
            *(f"{each['seen'][name]:.1f} %" for name in ("mape_percent", "coverage_percent")),
            *(f"{each['unseen_family'][name]:.1f} %" for name in ("mape_percent", "coverage_percent")),
            f"{each['new_board']['10']['mape_percent']:.1f} %",
        )
        for each in map(found.of_set, range(len(found.rows.sets)))
    ]
    seen, unseen = by_board(found, found.seen), by_board(found, found.unseen)
    boards = [(board, f"{seen[board]:.1f} %", f"{unseen[board]:.1f} %") for board in seen]
    return [
        Table(columns=("ROWS", "FIGURE", "NOW", "BEST BEFORE"), rows=means, title="Means over nine sets"),
        Table(
            columns=("BOARD", "RUNTIME", "IN THE MEANS", "ERROR", "HELD", "NEW FAMILY", "HELD", "NEW BOARD"),
            rows=sets,
            title="Sets",
        ),
        Table(columns=("BOARD", "SEEN", "NEW FAMILY"), rows=boards, title="Intervals of 95 % that held"),
    ]


def _published(published: dict[str, dict[str, float]], what: str, figure: str) -> str:
    value = published[what].get(figure)
    return "-" if value is None else f"{value:.1f} %"
