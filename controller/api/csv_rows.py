"""Rows as the lines of a CSV file that no spreadsheet runs."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from controller.api.turns import in_turn

RUNS_IN_A_SPREADSHEET = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


async def csv_lines(columns: Sequence[str], pages: Iterable[Iterable[Mapping[str, Any]]]) -> AsyncIterator[str]:
    """Give the head and then page after page while they are read; what a row has besides `columns` is left out."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, extrasaction="ignore")
    writer.writeheader()
    async for rows in in_turn(pages):
        for row in rows:
            writer.writerow({name: inert(value) for name, value in row.items()})
        yield out.getvalue()
        out.seek(0)
        out.truncate()
    yield out.getvalue()


def inert(value: Any) -> Any:
    """Return a text that a spreadsheet does not run as a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(RUNS_IN_A_SPREADSHEET) else value
