"""A column of a file: what it holds, and how the figure in a cell of it becomes one of ours."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from broker.errors import InvalidError
from controller.dataset import figures
from controller.dataset.headers import Meaning
from controller.dataset.units import Scale, scale

NUMBERS = frozenset({"time", "energy", "power", "bytes", "params", "operations", "plain", "count"})
"""Kinds of columns whose cells hold numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """The column at `index` and what it holds; `scale` None when each cell names its own unit."""

    index: int
    header: str
    meaning: Meaning
    scale: Scale | None
    told_by: str = "header"

    def figure(self, text: str, *, decimal_comma: bool | None) -> float | None:
        """Return the figure in the cell `text` in our unit. Raises InvalidError for what is none."""
        if self.scale is not None and not decimal_comma and figures.PLAIN.fullmatch(text):
            value = self.scale.of(float(text))
            if isfinite(value):
                return value
        found = figures.read(text, decimal_comma=decimal_comma)
        if found is None:
            return None
        unit = scale(self.meaning.kind, found.unit) if found.unit else self.scale
        if unit is None:
            raise InvalidError(f"'{text}' names no unit", code="not_a_number")
        return unit.of(found.value)

    def readable(self, cells: Sequence[str], *, decimal_comma: bool | None) -> float | None:
        """Return the figure that stands in this column of a line, None where none can be read."""
        if self.index >= len(cells):
            return None
        try:
            return self.figure(cells[self.index], decimal_comma=decimal_comma)
        except InvalidError:
            return None
