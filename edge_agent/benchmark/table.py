"""Keeps benchmark rows in a CSV file: each is on disk before the next model begins, and none is there twice."""

import csv
import fcntl
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from broker.benchmark_row import COLUMNS, BenchmarkRow
from broker.errors import ConflictError, InvalidError
from edge_agent.files import storage_error, sync_folder

Key = tuple[str, ...]

SAME = ("artifact_sha256", "runtime", "version", "threads", "device")
"""Two rows that agree in these are of the same measurement."""

HEADER = (",".join(COLUMNS) + "\n").encode()

DIGITS = 6
"""Significant digits of a figure: more than any meter or clock here knows."""


class Table:
    """The rows of one file that this process alone may write."""

    def __init__(self, path: Path, file: BinaryIO, rows: list[dict[str, str]]) -> None:
        """Take over a locked `file` at `path`; use `opened`."""
        self.path = path
        self.rows = rows
        self._file = file

    def done(self, key: Key) -> bool:
        """Whether a row of that measurement is there."""
        return any(_key(row) == key for row in self.rows)

    def put(self, row: BenchmarkRow) -> None:
        """Have `row` on disk, in place of an older one of the same measurement; raises StorageError."""
        written = texts(row)
        kept = [old for old in self.rows if _key(old) != _key(written)]
        if len(kept) < len(self.rows):
            self.replace([*kept, written])
            return
        try:
            self._file.seek(0, os.SEEK_END)
            if self._file.tell() == 0:
                self._file.write(HEADER)
            self._file.write(_lines([written]))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise storage_error(error, self.path) from error
        self.rows.append(written)

    def replace(self, rows: list[dict[str, str]]) -> None:
        """Have exactly `rows` on disk, the old file or the new one at any moment; raises StorageError."""
        temporary = self.path.with_name(self.path.name + ".tmp")
        try:
            file = temporary.open("w+b")
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(HEADER + _lines(rows))
            file.flush()
            os.fsync(file.fileno())
            temporary.replace(self.path)
            sync_folder(self.path.parent)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise storage_error(error, self.path) from error
        self._file.close()
        self._file, self.rows = file, rows

    def close(self) -> None:
        """Let others write."""
        self._file.close()


@contextmanager
def opened(path: Path) -> Iterator[Table]:
    """Hold the table at `path`, made when it is not there; half a line that a crash left at its end is taken away.

    Raises ConflictError (`in_use`) while another process holds it, InvalidError (`bad_table`) for a file that is no
    such table, StorageError when it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    except OSError as error:
        raise storage_error(error, path) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise ConflictError(
            f"another benchmark writes to {path}", code="in_use", hint="wait for it, or name another file with --csv"
        ) from None
    table = Table(path, file, [])
    try:
        table.rows = _repaired(path, file)
        yield table
    finally:
        table.close()


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows of the table at `path`; raises InvalidError (`bad_table`)."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidError(f"cannot read {path}: {error.strerror}", code="bad_table") from None
    return _rows(path, content)


def texts(row: BenchmarkRow) -> dict[str, str]:
    """Return `row` as the fields of a line: absent is empty, a note has one line."""
    return {name: field_text(value) for name, value in asdict(row).items()}


def key_of(row: BenchmarkRow) -> Key:
    """Return what makes `row` the same measurement as another one."""
    return _key(texts(row))


def _key(row: Mapping[str, str]) -> Key:
    return tuple(row[name] for name in SAME)


def _repaired(path: Path, file: BinaryIO) -> list[dict[str, str]]:
    file.seek(0)
    content = file.read()
    whole = content[: content.rfind(b"\n") + 1]
    rows = _rows(path, whole)
    if len(whole) < len(content):
        if not (whole or HEADER.startswith(content)):
            raise _foreign(path, "it does not begin with the names of the columns")
        file.truncate(len(whole))
    return rows


def _rows(path: Path, content: bytes) -> list[dict[str, str]]:
    lines = list(csv.reader(io.StringIO(content.decode("utf-8", "replace"), newline="")))
    if not lines:
        return []
    if tuple(lines[0]) != COLUMNS:
        raise _foreign(path, f"its columns are {', '.join(lines[0])[:120]}")
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(COLUMNS):
            raise _foreign(path, f"line {number} has {len(line)} fields, not {len(COLUMNS)}")
    return [dict(zip(COLUMNS, line, strict=True)) for line in lines[1:]]


def _foreign(path: Path, why: str) -> InvalidError:
    return InvalidError(f"{path} is no table of benchmarks: {why}", code="bad_table", hint="name another file")


def field_text(value: object) -> str:
    """Return `value` as a field of a line."""
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(float(f"{value:.{DIGITS}g}"))
    return " ".join(str(value).split())


def _lines(rows: Sequence[Mapping[str, str]]) -> bytes:
    out = io.StringIO(newline="")
    csv.DictWriter(out, COLUMNS, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()
