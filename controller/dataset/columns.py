"""Lays out a table: which column fills which field of ours, in which unit, told by the header or by the values."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from statistics import median

from broker.errors import InvalidError
from controller.dataset import figures
from controller.dataset.headers import QUANTITIES, Meaning, understand
from controller.dataset.reference import Known, taken_apart
from controller.dataset.table import Table
from controller.dataset.units import COUNTED, ONE, UNITS, Kind, Scale, scale

NUMBERS = frozenset({"time", "energy", "power", "bytes", "params", "operations", "plain", "count"})
MEASURED = frozenset({"energy", "latency_avg_s", "throughput_iter_per_s", "duration_s", "power_avg_mw"})
LARGEST_IN_MILLIONS = {"params": 1_000.0, "operations": 1_000.0, "bytes": 100_000.0}
"""Above these a figure without a unit is not in millions, 10^9 or MB on such boards: the column counts single ones."""

BYTES_PER_PARAM = 4
NEAR_FP32 = (0.9, 1.1)
"""Files whose size is that of fp32 weights, to a tenth: by them it is told whether MB are MiB."""

LEAST_OF_A_FILE = 0.985
"""A file holds at least its weights; a median below this share of them was divided by 2^20, not 10^6."""

LEAST_IN_MIB = 0.949
"""The share that a file of nothing but weights has then, 10^6 / 2^20; less is a network without its head."""

ENOUGH = 5
"""Rows from which something may be told of all."""

SAME_COUNT = 0.02
AGREEING = 0.9
"""Of how many rows something has to hold: that duration / latency is the same to within `SAME_COUNT`, say."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The columns that are read, in the file's order; `unread` are the headers of the others."""

    columns: tuple[Column, ...]
    unread: tuple[str, ...]
    decimal_comma: bool | None

    def index(self, field: str) -> int | None:
        """Return where the column of `field` is."""
        return next((column.index for column in self.columns if column.meaning.field == field), None)


def layout(table: Table, known: Known) -> Layout:
    """Return how `table` is read. Raises InvalidError when a column that is needed, or its unit, is not there."""
    columns = _chosen(table.header)
    _check_needed(table, columns)
    comma = _decimal_comma(table, columns)
    units = [_with_unit(table, column, columns, comma, known) for column in columns]
    read = {column.index for column in columns}
    unread = tuple(header for index, header in enumerate(table.header) if index not in read)
    return Layout(columns=tuple(units), unread=unread, decimal_comma=comma)


def inferences_of_a_run(table: Table, columns: Layout) -> int | None:
    """Return of how many inferences the runs are by duration / latency, None where nine rows in ten do not agree."""
    named = {column.meaning.field: column for column in columns.columns}
    if "iterations" in named or not {"duration_s", "latency_avg_s"} <= set(named):
        return None
    counts = [
        duration / latency
        for cells, duration in _cells(table, named["duration_s"], columns.decimal_comma)
        if (latency := _figure(named["latency_avg_s"], cells, columns.decimal_comma))
    ]
    if len(counts) < ENOUGH:
        return None
    likely = round(median(counts))
    agreeing = sum(abs(count / likely - 1) <= SAME_COUNT for count in counts) if likely else 0
    return likely if likely > 1 and agreeing >= AGREEING * len(counts) else None


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


def _decimal_comma(table: Table, columns: Sequence[Column]) -> bool | None:
    """Return what a comma in a number means in this file, None when it has no number that tells."""
    numbers = [column.index for column in columns if column.meaning.kind in NUMBERS]
    points = commas = False
    for _, cells in table.lines():
        for index in numbers:
            cell = cells[index] if index < len(cells) else ""
            if "," in cell and "." not in cell:
                if figures.tells_decimal_comma(cell):
                    return True
                commas = True
            points = points or "." in cell
    if points:
        return False
    return True if commas and table.delimiter == ";" else None


def _with_unit(table: Table, column: Column, columns: Sequence[Column], comma: bool | None, known: Known) -> Column:
    kind, field = column.meaning.kind, column.meaning.field
    if field == "size_mb" and column.meaning.unit in {"", "mb"}:
        return _of_size(table, column, columns, comma, known)
    if column.scale is not None or kind not in NUMBERS:
        return replace(column, scale=column.scale or ONE)
    if kind in {"plain", "count"}:
        return replace(column, scale=ONE)
    if kind in COUNTED:
        return _counted(table, column, kind, comma)
    by_rate = _by_throughput(table, column, columns, comma) if field == "latency_avg_s" else None
    return by_rate or _of_cells(table, column)


def _counted(table: Table, column: Column, kind: Kind, comma: bool | None) -> Column:
    largest = max(_figures(table, replace(column, scale=ONE), comma), default=0.0)
    if largest > LARGEST_IN_MILLIONS[kind]:
        return replace(column, scale=COUNTED[kind], told_by=f"values: as many as {largest:g}")
    return replace(column, scale=ONE, told_by="values: none too large")


def _of_size(table: Table, column: Column, columns: Sequence[Column], comma: bool | None, known: Known) -> Column:
    """Return the column of sizes in MB or, where files would hold less than their weights, in MiB."""
    column = replace(column, scale=ONE) if column.scale else _counted(table, column, "bytes", comma)
    models = next(each.index for each in columns if each.meaning.field == "model") if columns else 0
    shares = []
    for cells, size in _cells(table, column, comma):
        network = known(taken_apart(cells[models]).network) if models < len(cells) else None
        if network:
            share = size / (network.params_m * BYTES_PER_PARAM)
            shares += [share] if NEAR_FP32[0] <= share <= NEAR_FP32[1] else []
    if len(shares) < ENOUGH or median(shares) >= LEAST_OF_A_FILE or column.scale is not ONE:
        return column
    if sum(share >= LEAST_IN_MIB for share in shares) < AGREEING * len(shares):
        return column
    told = f"values: {len(shares)} files would hold {median(shares) * 100:.1f} % of their weights if these were MB"
    return replace(column, scale=UNITS["bytes"]["mib"], told_by=told)


def _by_throughput(table: Table, column: Column, columns: Sequence[Column], comma: bool | None) -> Column | None:
    rates = next((each for each in columns if each.meaning.field == "throughput_iter_per_s"), None)
    if rates is None:
        return None
    rates = replace(rates, scale=ONE)
    products = []
    for cells, latency in _cells(table, replace(column, scale=ONE), comma):
        rate = _figure(rates, cells, comma)
        products += [latency * rate] if rate else []
    for unit, scaled in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if products and 0.9 <= median(products) / scaled <= 1.1:  # noqa: PLR2004 - a tenth
            return replace(column, scale=UNITS["time"][unit], told_by=f"values: in {unit} the throughput agrees")
    return None


def _of_cells(table: Table, column: Column) -> Column:
    for number, cells in table.lines():
        text = cells[column.index] if column.index < len(cells) else ""
        if text.strip() and text.strip()[-1].isdigit():
            name, units = column.header, list(UNITS[column.meaning.kind])
            raise InvalidError(
                f"the column {name} of {table.name} names no unit, nor does line {number}",
                hint=f"call it {name}_{units[0]} or {name}_{'ms' if 'ms' in units else 'w' if 'w' in units else 'mwh'}",
                field=name,
            )
    return replace(column, told_by="each cell")


def _figures(table: Table, column: Column, comma: bool | None) -> Iterator[float]:
    return (figure for _, figure in _cells(table, column, comma))


def _cells(table: Table, column: Column, comma: bool | None) -> Iterator[tuple[list[str], float]]:
    """Yield the cells of each line whose figure in `column` can be read, and that figure."""
    for _, cells in table.lines():
        found = _figure(column, cells, comma)
        if found:
            yield cells, found


def _figure(column: Column, cells: Sequence[str], comma: bool | None) -> float | None:
    if column.index >= len(cells):
        return None
    try:
        return column.figure(cells[column.index], decimal_comma=comma)
    except InvalidError:
        return None
