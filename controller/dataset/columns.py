"""Lays out a table: which column fills which field of ours, in which unit, and of how many inferences its runs are."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from broker.errors import InvalidError
from controller.dataset.column import Column
from controller.dataset.headers import QUANTITIES, understand
from controller.dataset.reference import Known
from controller.dataset.table import Table
from controller.dataset.units import UNITS
from controller.dataset.values import Values, decimal_comma

MEASURED = frozenset({"energy", "latency_avg_s", "throughput_iter_per_s", "duration_s", "power_avg_mw"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The columns that are read, in the file's order; `unread` are the headers of the others.

    `iterations` is of how many inferences the runs are, where the values tell it.
    """

    columns: tuple[Column, ...]
    unread: tuple[str, ...]
    decimal_comma: bool | None
    iterations: int | None

    def index(self, field: str) -> int | None:
        """Return where the column of `field` is."""
        return next((column.index for column in self.columns if column.meaning.field == field), None)


def layout(table: Table, known: Known) -> Layout:
    """Return how `table` is read. Raises InvalidError when a column that is needed, or its unit, is not there."""
    chosen = _chosen(table.header)
    _check_needed(table, chosen)
    comma = decimal_comma(table, chosen)
    values = Values(table=table, columns=chosen, decimal_comma=comma, known=known)
    columns = tuple(map(values.with_unit, chosen))
    read = {column.index for column in columns}
    return Layout(
        columns=columns,
        unread=tuple(header for index, header in enumerate(table.header) if index not in read),
        decimal_comma=comma,
        iterations=values.inferences_of_a_run(columns),
    )


def _chosen(headers: Sequence[str]) -> list[Column]:
    """Return one column for each field and basis: that whose name is known best, the first of equals."""
    best: dict[tuple[str, str], Column] = {}
    for index, header in enumerate(headers):
        meaning = understand(header)
        if meaning is None:
            continue
        key = (meaning.field, str(meaning.rank) if meaning.field == "runs" else meaning.basis)
        if key not in best or meaning.rank < best[key].meaning.rank:
            known = UNITS[meaning.kind].get(meaning.unit) if meaning.unit else None
            best[key] = Column(index=index, header=header, meaning=meaning, scale=known)
    return sorted(best.values(), key=lambda column: column.index)


def _check_needed(table: Table, columns: Sequence[Column]) -> None:
    fields = {column.meaning.field for column in columns}
    wanted = [] if "model" in fields else ["model"]
    wanted += [] if fields & MEASURED else ["energy", "latency_avg_s"]
    if not wanted:
        return
    names = [name for quantity in QUANTITIES if quantity.field in wanted for name in quantity.names]
    like = {header: difflib.get_close_matches(header.lower(), names, 1) for header in table.header}
    header, near = next(((header, found[0]) for header, found in like.items() if found), ("", ""))
    what = "the model" if wanted == ["model"] else "an energy, a latency or a duration"
    raise InvalidError(
        f"no column of {table.name} is {what}: looked for {', '.join(names[:6])}; found {', '.join(table.header[:12])}",
        hint=f"'{header}' is nearest: call it {near}" if near else "name the columns as in data/README.md",
        field=wanted[0],
    )
