"""Makes a case of each line of a table: its cells in our units, and what could not be read in them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from broker.benchmark_row import BenchmarkRow
from broker.errors import InvalidError
from controller.dataset.boards import board
from controller.dataset.case import Case
from controller.dataset.column import Column
from controller.dataset.columns import Layout
from controller.dataset.limits import LIMITS
from controller.dataset.reference import Known, taken_apart
from controller.dataset.table import Table

WHOLE = frozenset({"iterations", "threads", "batch", "input_res"})
NEEDED = frozenset(
    {"energy_mj", "energy_run_mj", "energy_some_mj", "latency_avg_s", "throughput_iter_per_s", "power_avg_mw"}
    | {"iterations", "duration_s", "batch"}
)
"""What was measured, and how: a row in which one of these makes no sense is set aside; others are left empty."""

TEXTS = frozenset({"text", "pixels"})
INTEGERS = frozenset({"1", "true", "yes", "int8", "uint8", "i8", "u8", "w8a8"})
HALVES = frozenset({"fp16", "float16", "f16", "half"})
FLOATS = HALVES | frozenset({"0", "false", "no", "fp32", "float32", "f32", "bf16", "float"})
ROW_FIELDS = frozenset(field.name for field in fields(BenchmarkRow))
ENERGIES = {"inference": "energy_mj", "run": "energy_run_mj", "": "energy_some_mj"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the person says of all rows: the type of board, and inferences of a run and runtime where a row does not."""

    device: str = ""
    iterations: int | None = None
    runtime: str = ""


@dataclass(slots=True)
class _Line:
    """The fields of a line as they are read, and what could not be: field, code, text and why."""

    values: dict[str, Any]
    runs: list[float]
    faults: list[tuple[str, str, str, str]]


def cases(table: Table, layout: Layout, told: Told, known: Known) -> Iterator[Case]:
    """Yield a case for each line of `table`."""
    columns = [(column.index, _field(column), column) for column in layout.columns]
    width = len(table.header)
    for number, cells in table.lines():
        line = _Line({}, [], [])
        for index, field, column in columns:
            if index < len(cells) and cells[index]:
                _read(line, field, column, cells[index], layout.decimal_comma)
        case = _with_faults(_case(number, line, told, known), line)
        if len(cells) != width:
            case = case.rejected("ragged", f"{len(cells)} fields where the header has {width}")
        yield case


def _case(number: int, line: _Line, told: Told, known: Known) -> Case:
    values = line.values
    name = taken_apart(str(values.get("model", "")))
    for field, otherwise in (("input_res", name.input_res), ("iterations", told.iterations), ("runtime", told.runtime)):
        values.setdefault(field, otherwise)
    source = [values[key] for key in ("round", "source") if values.get(key)]
    own = board(values["device"]).device_type if values.get("device") else ""
    asked = board(told.device).device_type if told.device else ""
    values |= {"model": values.get("model", ""), "source": "/".join(source), "device": own or asked}
    case = Case(
        line=number,
        row=BenchmarkRow(**{key: value for key, value in values.items() if key in ROW_FIELDS}),
        energy_run_mj=values.get("energy_run_mj"),
        energy_some_mj=values.get("energy_some_mj"),
        runs_mj=tuple(line.runs),
        duration_s=values.get("duration_s"),
        batch=values.get("batch", name.batch),
        network=name.network,
        variant=name.variant,
        half=bool(values.get("half")),
        known=known(name.network),
    )
    if asked and own and own != asked:
        return case.rejected("other_board", f"measured on {own}", "device")
    return case


def _field(column: Column) -> str:
    meaning = column.meaning
    return ENERGIES[meaning.basis] if meaning.field == "energy" else meaning.field


def _read(line: _Line, field: str, column: Column, text: str, comma: bool | None) -> None:
    """Read a cell into `line`; what is not there is not entered."""
    try:
        value = _text(field, text) if column.meaning.kind in TEXTS else column.figure(text, decimal_comma=comma)
        if value is None or value == "":
            return
        if field == "runs":
            line.runs.append(float(value))
        else:
            line.values[field] = _within(field, value, text)
            line.values["half"] = line.values.get("half") or (field == "quantized" and text.strip().lower() in HALVES)
    except InvalidError as error:
        if field != "runs":
            line.faults.append((field, error.code, text.strip(), error.message))


def _text(field: str, text: str) -> int | str | None:
    text = text.strip()
    if field == "input_res":
        sides = [int(side) for side in re.findall(r"\d+", text)[-2:]]
        if text and (not sides or len(set(sides)) > 1):
            raise InvalidError(f"'{text}' is no side of a square", code="not_a_number")
        return sides[-1] if sides else None
    if field == "quantized":
        return 1 if text.lower() in INTEGERS else 0 if text.lower() in FLOATS else None
    return text


def _within(field: str, value: Any, text: str) -> Any:
    """Return `value`, as a whole number where it is one. Raises InvalidError outside the limits of `field`."""
    if field not in LIMITS:
        return value
    low, high = LIMITS[field]
    whole = field in WHOLE
    if not low <= value <= high or (whole and value != int(value)):
        raise InvalidError(f"{text.strip()} can be no {field}", code="impossible_figure")
    return int(value) if whole else value


def _with_faults(case: Case, line: _Line) -> Case:
    for field, code, text, message in line.faults:
        if field in NEEDED:
            case = case.rejected(code, f"{field}: {message}", field)
        else:
            case = case.emptied(code, f"{field}: {message}", field, text)
    return case
