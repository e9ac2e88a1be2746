"""Tells by the values of a table what no header tells: units, what a comma means, how many inferences a run is of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

from broker.benchmark_row import COLUMNS
from broker.errors import InvalidError
from controller.dataset import figures
from controller.dataset.column import NUMBERS, Column
from controller.dataset.reference import Known, taken_apart
from controller.dataset.table import Table
from controller.dataset.units import COUNTED, ONE, UNITS, Kind

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

AGREEING = 0.9
"""Of how many rows something has to hold: that duration / latency is the same to within `SAME_COUNT`, say."""

EXAMPLES: dict[Kind, tuple[str, ...]] = {"time": ("s", "ms"), "energy": ("mj", "mwh"), "power": ("mw", "w")}

SAME_COUNT = 0.02
SAME_PRODUCT = 0.1
"""Relative, of latency and throughput to 1."""


def decimal_comma(table: Table, columns: Sequence[Column]) -> bool | None:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """The cells of `table` in its `columns`, beside what is `known` of the networks that it names."""

    table: Table
    columns: Sequence[Column]
    decimal_comma: bool | None
    known: Known

    def with_unit(self, column: Column) -> Column:
        """Return `column` with its scale. Raises InvalidError for a measured one whose unit nothing tells."""
        kind, field = column.meaning.kind, column.meaning.field
        if field == "size_mb" and column.meaning.unit in {"", "mb"}:
            return self._of_size(column)
        if column.scale is not None or kind not in NUMBERS:
            return replace(column, scale=column.scale or ONE)
        if kind in {"plain", "count"}:
            return replace(column, scale=ONE)
        if kind in COUNTED:
            return self._counted(column, kind)
        return (self._by_throughput(column) if field == "latency_avg_s" else None) or self._of_cells(column)

    def inferences_of_a_run(self, columns: Sequence[Column]) -> int | None:
        """Return of how many inferences runs are by duration / latency, None where nine rows in ten do not agree."""
        named = {column.meaning.field: column for column in columns}
        if "iterations" in named or not {"duration_s", "latency_avg_s"} <= set(named):
            return None
        latency = named["latency_avg_s"]
        counts = [
            duration_s / latency_s
            for cells, duration_s in self._cells(named["duration_s"])
            if (latency_s := latency.readable(cells, decimal_comma=self.decimal_comma))
        ]
        likely = round(median(counts)) if len(counts) >= ENOUGH else 0
        agreeing = sum(abs(count / likely - 1) <= SAME_COUNT for count in counts) if likely > 1 else 0
        return likely if agreeing and agreeing >= AGREEING * len(counts) else None

    def _counted(self, column: Column, kind: Kind) -> Column:
        largest = max((figure for _, figure in self._cells(replace(column, scale=ONE))), default=0.0)
        if largest > LARGEST_IN_MILLIONS[kind]:
            return replace(column, scale=COUNTED[kind], told_by=f"values: as many as {largest:g}")
        return replace(column, scale=ONE, told_by="values: none too large")

    def _of_size(self, column: Column) -> Column:
        """Return the column of sizes in MB or, where files would hold less than their weights, in MiB."""
        if set(self.table.header) >= set(COLUMNS):  # a benchmark's own file, where MB are MB
            return column
        column = replace(column, scale=ONE) if column.scale else self._counted(column, "bytes")
        shares = [share for share in self._shares(column) if NEAR_FP32[0] <= share <= NEAR_FP32[1]]
        if len(shares) < ENOUGH or median(shares) >= LEAST_OF_A_FILE or column.scale is not ONE:
            return column
        if sum(share >= LEAST_IN_MIB for share in shares) < AGREEING * len(shares):
            return column
        told = f"values: {len(shares)} files would hold {median(shares) * 100:.1f} % of their weights if these were MB"
        return replace(column, scale=UNITS["bytes"]["mib"], told_by=told)

    def _shares(self, sizes: Column) -> Iterator[float]:
        """Yield how much of the weights in fp32 each file of a known network would hold."""
        models = next((column.index for column in self.columns if column.meaning.field == "model"), 0)
        for cells, size_mb in self._cells(sizes):
            network = self.known(taken_apart(cells[models]).network) if models < len(cells) else None
            if network:
                yield size_mb / (network.params_m * BYTES_PER_PARAM)

    def _by_throughput(self, column: Column) -> Column | None:
        rates = next((each for each in self.columns if each.meaning.field == "throughput_iter_per_s"), None)
        if rates is None:
            return None
        rates = replace(rates, scale=ONE)
        products = [
            latency * rate
            for cells, latency in self._cells(replace(column, scale=ONE))
            if (rate := rates.readable(cells, decimal_comma=self.decimal_comma))
        ]
        for unit, per in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
            if products and abs(median(products) / per - 1) <= SAME_PRODUCT:
                return replace(column, scale=UNITS["time"][unit], told_by=f"values: in {unit} the throughput agrees")
        return None

    def _of_cells(self, column: Column) -> Column:
        for number, cells in self.table.lines():
            text = cells[column.index].strip() if column.index < len(cells) else ""
            if text and text[-1].isdigit():
                name = column.header
                known = " or ".join(f"{name}_{unit}" for unit in EXAMPLES[column.meaning.kind])
                raise InvalidError(
                    f"the column {name} of {self.table.name} names no unit, nor does line {number}",
                    hint=f"call it {known}",
                    field=name,
                )
        return replace(column, told_by="each cell")

    def _cells(self, column: Column) -> Iterator[tuple[list[str], float]]:
        """Yield the cells of each line whose figure in `column` can be read and is not 0, and that figure."""
        for _, cells in self.table.lines():
            found = column.readable(cells, decimal_comma=self.decimal_comma)
            if found:
                yield cells, found
