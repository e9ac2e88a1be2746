"""Fills the energy columns of a table from an external meter's record."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from broker.errors import InvalidError
from edge_agent.benchmark import marks, record
from edge_agent.benchmark.align import Alignment, align
from edge_agent.benchmark.marks import Mark
from edge_agent.benchmark.record import Record
from edge_agent.benchmark.run import READINGS
from edge_agent.benchmark.table import field_text, opened
from edge_agent.power.trace import Drawn, Window, integrated

METER, RAIL = "usb_meter", "external"
"""What a row says of its meter: a USB or lab meter in the supply of the whole device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """How the clocks stood to each other, and which models' energies were filled in or left out, with reasons."""

    alignment: Alignment
    filled: tuple[str, ...]
    left: Mapping[str, str]


def join(
    table: Path,
    meter: Path,
    *,
    time_column: str | None = None,
    power_column: str | None = None,
    most_s: float,
) -> Joined:
    """Lay the record at `meter` beside the marks of `table`, and fill the rows that no other meter measured.

    `most_s` bounds the difference of the clocks. Raises InvalidError for a record that does not fit, or a table
    without marks; nothing is written then.
    """
    recorded = record.read(meter, time_column=time_column, power_column=power_column)
    with opened(table) as rows_here:
        wanted = {(row["at"], row["artifact_sha256"]) for row in rows_here.rows if _is_open(row)}
        found = [m for m in marks.read(marks.path_for(table)) if (m.at, m.artifact_sha256) in wanted]
        if not found:
            raise InvalidError(f"no row of {table} waits for a meter", code="nothing_to_join")
        alignment = align(recorded, found, most_s=most_s)
        filled, left, rows = [], {}, []
        for row in rows_here.rows:
            own = _own(row, found)
            columns = _columns(row, own, recorded, alignment) if len(own) == 2 and _is_open(row) else None  # noqa: PLR2004
            rows.append(row | (columns or {}))
            if columns:
                filled.append(row["model"])
            elif not row["error"]:
                left[row["model"]] = f"measured by {row['meter']}" if not _is_open(row) else "no reading in its runs"
        rows_here.replace(rows)
    return Joined(alignment=alignment, filled=tuple(filled), left=left)


def _own(row: Mapping[str, str], found: Sequence[Mark]) -> dict[str, Mark]:
    """Return the marks of `row` by their kind."""
    return {m.kind: m for m in found if (m.at, m.artifact_sha256) == (row["at"], row["artifact_sha256"])}


def _is_open(row: Mapping[str, str]) -> bool:
    """Whether no other meter measured `row`, and it has runs that one could have seen."""
    return not row["error"] and row["meter"] in ("", METER) and row["iterations"] != ""


def _columns(
    row: Mapping[str, str], own: Mapping[str, Mark], recorded: Record, alignment: Alignment
) -> dict[str, str] | None:
    """Return the columns of energy of `row`; None where the record has no reading in its runs."""
    rest = _drawn(own["rest"], recorded, alignment, None)
    drawn = _drawn(own["runs"], recorded, alignment, rest.power_mw if rest else None)
    if drawn is None:
        return None
    iterations = int(row["iterations"])
    length_s = own["runs"].stop - own["runs"].start
    figures = {
        "energy_mj": drawn.energy_mj / iterations,
        "power_avg_mw": drawn.power_mw,
        "power_idle_mw": rest.power_mw if rest else None,
        "energy_net_mj": (drawn.power_mw - rest.power_mw) * length_s / iterations if rest else None,
        "rate_hz": 1 / recorded.interval_s,
        "uncertainty_percent": drawn.uncertainty_percent,
    }
    few = f"only {drawn.readings} readings of the meter in its runs" if drawn.readings < READINGS - 1 else ""
    notes = dict.fromkeys(note for note in (*row["note"].split("; "), few) if note)
    return {name: field_text(value) for name, value in figures.items()} | {
        "meter": METER,
        "rail": RAIL,
        "note": "; ".join(notes),
    }


def _drawn(mark: Mark, recorded: Record, alignment: Alignment, rest_mw: float | None) -> Drawn | None:
    """Return what was drawn during `mark`; the unsure clock counts as a longer interval of the meter."""
    start, end = mark.start + alignment.offset_s, mark.stop + alignment.offset_s
    first, last = bisect_left(recorded.moments, start), bisect_right(recorded.moments, end)
    readings: Sequence[tuple[float, float]] = list(
        zip(recorded.moments[first:last], recorded.powers_mw[first:last], strict=True)
    )
    lag_s = recorded.interval_s + alignment.uncertainty_s
    return integrated(readings, Window(start=start, end=end, rest_mw=rest_mw), interval_s=lag_s)
