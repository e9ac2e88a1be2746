"""Tables of an import: how its rows ended, why, how its columns were read, and each row that was touched."""

from typing import Any

from controller.cli.console import Table

Document = dict[str, Any]
MOST_ROWS = 60
"""Rows that a person reads; a program reads them all in the document."""


def report(document: Document) -> list[Table]:
    """Return the tables of an import, the counts first."""
    tables = [_counts(document), _reasons(document), _columns(document), _rows(document)]
    return [table for table in tables if table.rows]


def closing(document: Document, *, dry_run: bool) -> list[str]:
    """Return what is said at the end: what was not shown, where the rows are, what to do next."""
    told = []
    touched = len(_touched(document))
    if touched > MOST_ROWS:
        told.append(f"{touched - MOST_ROWS} more rows are in the report: --report FILE.json")
    if any(each["code"] == "inferences_unknown" for each in document["summary"]["reasons"]):
        told.append(
            "energies of runs are kept in the report; to import them: --iterations N, 1 for energies per inference"
        )
    if dry_run:
        told.append("nothing was written")
    elif document["out"]:
        told.append(f"rows: {document['out']}")
        told.append(f"to learn from them: edgewatt predictors train --data {document['out']}")
    else:
        told.append("no row stands, so nothing was written")
    return told


def _counts(document: Document) -> Table:
    summary = document["summary"]
    names = ("rows", "accepted", "repaired", "rejected")
    return Table(
        columns=[name.upper() for name in names], rows=[[str(summary[name]) for name in names]], title="How rows ended"
    )


def _reasons(document: Document) -> Table:
    rows = [(str(each["rows"]), each["effect"], each["says"]) for each in document["summary"]["reasons"]]
    return Table(columns=("ROWS", "EFFECT", "WHAT WAS FOUND"), rows=rows, title="Why")


def _columns(document: Document) -> Table:
    rows = [
        (each["header"], each["field"], each["told_by"]) for each in document["columns"] if each["told_by"] != "header"
    ]
    return Table(columns=("COLUMN", "READ AS", "TOLD BY"), rows=rows, title="Units that no header told")


def _rows(document: Document) -> Table:
    rows = [
        (str(row["line"]), row["model"], row["status"], "; ".join(_why(row))) for row in _touched(document)[:MOST_ROWS]
    ]
    return Table(columns=("LINE", "MODEL", "ENDED", "WHY"), rows=rows, title="Rows repaired or rejected")


def _touched(document: Document) -> list[Document]:
    return [row for row in document["rows"] if row["status"] != "accepted"]


def _why(row: Document) -> list[str]:
    """Return the reasons that made the row end as it did, each once."""
    said: dict[str, list[str]] = {}
    for each in row["findings"]:
        if each["effect"] == row["status"]:
            said.setdefault(each["because"], []).append(_change(each))
    return [" ".join(filter(None, (", ".join(filter(None, changes)), because))) for because, changes in said.items()]


def _change(finding: Document) -> str:
    if finding["effect"] != "repaired":
        return ""
    return f"{finding['field']} {_short(finding['from'])} → {_short(finding['to'])}"


def _short(value: Any) -> str:
    if value is None:
        return "nothing"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
