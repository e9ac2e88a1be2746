"""Imports a file of measurements: every row of it ends accepted, repaired or rejected."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from broker.benchmark_row import BenchmarkRow
from broker.errors import InvalidError
from controller.dataset.case import Case, Status
from controller.dataset.cases import Told, cases
from controller.dataset.columns import Layout, layout
from controller.dataset.duplicates import one_of_each
from controller.dataset.reference import Known
from controller.dataset.rules import judged
from controller.dataset.table import Table, read


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A file, how it was read, what was told of it, and where each of its rows ended."""

    table: Table
    layout: Layout
    told: Told
    cases: Sequence[Case]

    @property
    def rows(self) -> list[BenchmarkRow]:
        """The rows that stand, in the file's order."""
        return [case.row for case in self.cases if case.status is not Status.REJECTED]

    def count(self, status: Status) -> int:
        """Return how many rows ended in `status`."""
        return sum(case.status is status for case in self.cases)

    def reasons(self) -> list[tuple[str, str, int]]:
        """Return code and effect of what was found, and in how many rows, the most frequent first."""
        counts = Counter(pair for case in self.cases for pair in {(each.code, each.effect) for each in case.findings})
        return [(code, str(effect), rows) for (code, effect), rows in counts.most_common()]


def imported(path: Path, told: Told, known: Known) -> Imported:
    """Return the import of the file at `path`. Raises InvalidError for what is no table of measurements."""
    return taken(read(path), told, known)


def taken(table: Table, told: Told, known: Known) -> Imported:
    """Return the import of `table`. Raises InvalidError for what holds no measurements, or not of which board."""
    columns = layout(table, known)
    if not told.device and columns.index("device") is None:
        raise InvalidError(
            f"{table.name} does not say on which board it was measured",
            hint="name it: --device raspberry_pi_5",
            code="usage",
            field="device",
        )
    if told.iterations is None:
        told = replace(told, iterations=columns.iterations)
    found = list(one_of_each(judged(case) for case in cases(table, columns, told, known)))
    if not found:
        raise InvalidError(f"{table.name} has a header and no rows", hint="one measured model a line", field="file")
    return Imported(table=table, layout=columns, told=told, cases=found)
