"""Writes imported rows in the columns of a benchmark, whole or not at all."""

import csv
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from operator import attrgetter
from pathlib import Path
from typing import TextIO

from broker.benchmark_row import COLUMNS, BenchmarkRow
from broker.errors import StorageError

FOLDER = "measurements"
"""Where imported files lie in the controller's data folder."""


def write_rows(rows: Iterable[BenchmarkRow], path: Path) -> None:
    """Write `rows` as CSV to `path`, replacing what was there. Raises StorageError; nothing half-written is left."""
    with _replacing(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(map(attrgetter(*COLUMNS), rows))


def write_text(parts: Iterable[str], path: Path) -> None:
    """Write the `parts` of a text to `path` as `write_rows` writes rows."""
    with _replacing(path) as file:
        file.writelines(parts)


@contextmanager
def _replacing(path: Path) -> Iterator[TextIO]:
    """Yield a file that takes the place of `path` when everything is on the disk; a device or a pipe is written to."""
    part = path.parent / f".{path.name}.{os.getpid()}.part"
    try:
        if path.exists() and not path.is_file():
            with path.open("w", encoding="utf-8", newline="") as file:
                yield file
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise StorageError(f"cannot write {path}: {error.strerror}", hint="name another file") from None
