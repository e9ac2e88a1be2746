"""Writes down when a device rested and when it worked, so that an external meter's record can be laid beside it."""

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from broker.errors import InvalidError
from edge_agent.files import storage_error

Kind = Literal["rest", "runs"]

FIELDS = ("at", "artifact_sha256", "model", "kind", "start", "stop")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A stretch of time (Unix seconds by the device's clock) of the row that was measured `at`."""

    at: str
    artifact_sha256: str
    model: str
    kind: Kind
    start: float
    stop: float


def path_for(table: Path) -> Path:
    """Return where the marks of the rows in `table` are."""
    return table.with_name(f"{table.stem}.marks.csv")


def append(path: Path, marks: tuple[Mark, ...]) -> None:
    """Have `marks` on disk at the end of `path`; raises StorageError."""
    try:
        with path.open("a", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if file.tell() == 0:
                writer.writerow(FIELDS)
            writer.writerows(
                (m.at, m.artifact_sha256, m.model, m.kind, f"{m.start:.6f}", f"{m.stop:.6f}") for m in marks
            )
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise storage_error(error, path) from error


def read(path: Path) -> tuple[Mark, ...]:
    """Return the marks at `path`, without lines that a crash left unfinished; raises InvalidError (`no_marks`)."""
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            found = tuple(mark for row in csv.DictReader(file) if (mark := _mark(row)) is not None)
    except (OSError, csv.Error) as error:
        raise InvalidError(
            f"cannot read the marks of this table in {path}: {error}",
            code="no_marks",
            hint="a benchmark writes them beside its table; keep both files together",
        ) from None
    if not found:
        raise InvalidError(f"there are no marks in {path}", code="no_marks")
    return found


def _mark(row: dict[str, str]) -> Mark | None:
    try:
        kind = next(kind for kind in get_args(Kind) if kind == row["kind"])
        texts = {name: row[name] for name in ("at", "artifact_sha256", "model")}
        return Mark(**texts, kind=kind, start=float(row["start"]), stop=float(row["stop"]))
    except (KeyError, TypeError, ValueError, StopIteration):
        return None
