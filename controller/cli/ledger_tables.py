"""The ledger's and the calibrations' documents as tables; pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from controller.cli.console import Table
from controller.cli.figures import ABSENT, ago, clock, interval, mj, number, text

Document = Mapping[str, Any]
FIGURES = ("n", "error", "median", "bias", "inside 95 %")


def entries(found: Iterable[Document]) -> Table:
    """Return one row per entry; what no meter measured is marked."""
    columns = ("device", "model", "predicted", "95 %", "actual", "source", "truth", "error", "inside", "when")
    return Table(columns=columns, rows=[_entry(each) for each in found])


def summary(document: Document) -> list[Table]:
    """Return the figures of a ledger, measured ones first, those of simulated devices apart, then drift."""
    found = document["summary"]
    tables = [_figures("measured by a meter", found), _figures("simulated devices, no truth", found["simulated"])]
    rows = [
        (
            each["device_id"],
            each["model"],
            f"{each['by_percent']:+.0f} %",
            "ALARM" if each["alarm"] else "watched",
            mj(each["baseline_mj"]),
            text(each["source"]),
            ago(each["since"]),
        )
        for each in document["drift"]
    ]
    columns = ("device", "model", "costs", "drift", "at deployment", "source", "since")
    return [*tables, Table(columns=columns, rows=rows, title="costs more than when it was deployed")]


def calibration(document: Document) -> list[Table]:
    """Return how a calibration stands, and the outcome of each model."""
    facts = [
        ("calibration", document["id"]),
        ("device", document["device_id"]),
        ("state", f"{document['state']} {ago(document['since'])}"),
        ("reason", text(document["reason"])),
        ("measured", f"{document['measured']} of {document['total']}"),
        ("error before", _percent(document["before_percent"])),
        ("error after", f"{_percent(document['after_percent'])} on held-out runs"),
    ]
    rows = [
        (each["model"], each["outcome"], mj(each["energy_mj"]), text(each["source"]), text(each["reason"]))
        for each in document["models"]
    ]
    return [
        Table(columns=("what", "value"), rows=facts),
        Table(columns=("model", "outcome", "energy", "source", "reason"), rows=rows, title="models"),
    ]


def corrections(found: Iterable[Document]) -> Table:
    """Return one row per correction of a device, newest first."""
    rows = [
        (
            text(each["id"]),
            "current" if each["current"] else ("taken back" if each["undone_at"] else "replaced"),
            each["origin"] + (" (simulated)" if each["simulated"] else ""),
            text(each["runs"]),
            _percent(each["before_percent"]),
            _percent(each["after_percent"]),
            number(each["cost_ratio"]),
            clock(each["at"]),
        )
        for each in found
    ]
    columns = ("correction", "state", "from", "runs", "error before", "error after", "cost ratio", "at")
    return Table(columns=columns, rows=rows)


def _figures(title: str, found: Document) -> Table:
    rows = [("all", *_cells(found))]
    for kind in ("per_device_type", "per_family"):
        rows += [(name, *_cells(each)) for name, each in found[kind].items()]
    rows += [(each["age"], *_cells(each)) for each in found["by_age"] if each["n"]]
    return Table(columns=("of", *FIGURES), rows=rows, title=title)


def _cells(found: Document) -> tuple[str, ...]:
    percents = ("mape_percent", "median_ape_percent", "bias_percent", "coverage_percent")
    return (text(found["n"]), *(_percent(found[name]) for name in percents))


def _entry(each: Document) -> tuple[str, ...]:
    inside = {True: "yes", False: "no"}.get(each["inside"], ABSENT)
    return (
        each["device_id"],
        each["model"],
        mj(each["predicted_mj"]),
        interval(each["low_mj"], each["high_mj"]),
        mj(each["actual_mj"]),
        each["source"],
        "yes" if each["counts_as_truth"] else "no",
        ABSENT if each["error_percent"] is None else f"{each['error_percent']:+.1f} %",
        inside,
        ago(each["at"]),
    )


def _percent(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.1f} %"
