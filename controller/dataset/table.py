"""Opens a file of measurements as lines of cells: encoding, delimiter and header found out, others refused."""

import csv
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from broker.errors import InvalidError

LARGEST = 128 * 1_000_000
"""Bytes of a file; half a million rows of twenty columns are about 100 MB."""

DELIMITERS = (",", ";", "\t", "|")
NOT_TEXT = (
    (b"PK\x03\x04", "an Excel or another zipped file"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file"),
    (b"\x1f\x8b", "gzipped"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3", "a SQLite database"),
    (b"%PDF", "a PDF"),
)
NOT_A_TABLE = (("<!doctype", "a web page"), ("<html", "a web page"), ("<", "XML"), ("{", "JSON"), ("[", "JSON"))
HINT = "save it as CSV: a header line, then one measured model a line"
MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A file that is a table. `lines` may be gone through more than once; nothing but the file's bytes is held."""

    name: str
    sha256: str
    encoding: str
    delimiter: str
    header: tuple[str, ...]
    header_line: int
    data: bytes

    def lines(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the number and the cells of each line below the header that holds anything.

        Raises InvalidError for a line that the reader of CSV cannot split.
        """
        for number, cells in _split(self.name, _text(self.data, self.encoding), self.delimiter):
            if number > self.header_line and any(cell.strip() for cell in cells):
                yield number, cells


def read(path: Path) -> Table:
    """Return the table in the file at `path`. Raises InvalidError for what cannot be read or is none."""
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise InvalidError(f"{path} has {size / 1e6:,.0f} MB", hint=f"at most {LARGEST / 1e6:.0f} MB: split it")
        data = path.read_bytes()
    except OSError as error:
        raise InvalidError(f"cannot read {path}: {error.strerror}", hint="name a CSV file", field="file") from None
    return opened(data, path.name)


def opened(data: bytes, name: str) -> Table:
    """Return the table that the bytes of the file called `name` are. Raises InvalidError for what is none."""
    encoding = _encoding(data, name)
    first = _text(data, encoding).read(4_096).lstrip()[:16].lower()
    if not first:
        raise InvalidError(f"{name} is empty", hint=HINT, field="file")
    for start, what in NOT_A_TABLE:
        if first.startswith(start):
            raise InvalidError(f"{name} is {what}, no table", hint=HINT, field="file")
    delimiter = _delimiter(_text(data, encoding))
    number, header = _header(name, _split(name, _text(data, encoding), delimiter))
    _check_header(name, header)
    return Table(
        name=name,
        sha256=hashlib.sha256(data).hexdigest(),
        encoding=encoding,
        delimiter=delimiter,
        header=tuple(cell.strip() for cell in header),
        header_line=number,
        data=data,
    )


def _encoding(data: bytes, name: str) -> str:
    for start, what in NOT_TEXT:
        if data.startswith(start):
            raise InvalidError(f"{name} is {what}, no text", hint=HINT, field="file")
    marked = next((encoding for mark, encoding in MARKS if data.startswith(mark)), None)
    if marked is None and b"\0" in data:
        raise InvalidError(f"{name} is binary, no text", hint=HINT, field="file")
    for encoding in (marked,) if marked else ("utf-8", "cp1252"):
        try:
            data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    raise InvalidError(f"{name} is in no encoding that is known here", hint="save it as UTF-8", field="file")


def _text(data: bytes, encoding: str) -> TextIO:
    return io.TextIOWrapper(io.BytesIO(data), encoding=encoding, newline="")


def _delimiter(text: TextIO) -> str:
    """Return what stands most often between the words of the first line that says anything."""
    line = next((line for line in text if line.strip() and not line.startswith("#")), "")
    outside = "".join(line.split('"')[::2])
    return max(DELIMITERS, key=outside.count)


def _header(name: str, records: Iterator[tuple[int, list[str]]]) -> tuple[int, list[str]]:
    for number, cells in records:
        if any(cell.strip() for cell in cells) and not cells[0].startswith("#"):
            return number, cells
    raise InvalidError(f"{name} is empty", hint=HINT, field="file")


def _split(name: str, text: TextIO, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which each record begins, and its cells."""
    reader = csv.reader(text, delimiter=delimiter)
    before = 0
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InvalidError(f"{name}, line {before + 1}: {error}", hint=HINT, field="file") from None
        yield before + 1, cells
        before = reader.line_num


def _check_header(name: str, header: list[str]) -> None:
    plain = [cell.strip() for cell in header]
    if len(plain) < 2:  # noqa: PLR2004 - a name and a figure
        raise InvalidError(
            f"{name} has one column{f', {plain[0][:60]!r}' if plain else ''}",
            hint="columns are told apart by comma, semicolon, tab or |",
            field="file",
        )
    twice = next((cell for cell in plain if cell and plain.count(cell) > 1), None)
    if twice is not None:
        raise InvalidError(f"two columns of {name} are called '{twice}'", hint="rename or remove one", field=twice)
