"""The report of an import as a document: the file, how its columns were read, counts by reason, then its rows."""

import json
from collections.abc import Iterator
from typing import Any

from controller.dataset.case import Case, Effect, Finding, Status
from controller.dataset.importing import Imported
from controller.dataset.rules import SAYS

Document = dict[str, Any]


def document(done: Imported, out: str | None) -> Document:
    """Return what is told of an import; `out` is the file that its rows went into."""
    table, layout = done.table, done.layout
    return {
        "file": {
            "name": table.name,
            "sha256": table.sha256,
            "bytes": len(table.data),
            "encoding": table.encoding,
            "delimiter": table.delimiter,
            "decimal_comma": layout.decimal_comma,
        },
        "told": {
            "device": done.told.device or None,
            "iterations": done.told.iterations,
            "runtime": done.told.runtime or None,
        },
        "rules": {code: version for code, (version, _) in SAYS.items()},
        "columns": [
            {
                "header": column.header,
                "field": column.meaning.field,
                "of": column.meaning.basis or None,
                "times": column.scale.times if column.scale else None,
                "per": column.scale.per if column.scale else None,
                "told_by": column.told_by,
            }
            for column in layout.columns
        ],
        "not_read": list(layout.unread),
        "summary": {"rows": len(done.cases)}
        | {str(status): done.count(status) for status in Status}
        | {
            "reasons": [
                {"code": code, "effect": effect, "rows": rows, "says": SAYS[code][1]}
                for code, effect, rows in done.reasons()
            ]
        },
        "rows": [_row(case) for case in done.cases],
        "out": out,
    }


def written(document: Document) -> Iterator[str]:
    """Yield the document as it is written to a file: JSON, a line for each row."""
    head = json.dumps({**document, "rows": []}, ensure_ascii=False, indent=1, allow_nan=False)
    before, after = head.split('"rows": []')
    yield before + '"rows": [\n'
    for index, row in enumerate(document["rows"]):
        yield (",\n" if index else "") + json.dumps(row, ensure_ascii=False, allow_nan=False)
    yield "\n ]" + after + "\n"


def _row(case: Case) -> Document:
    row: Document = {"line": case.line, "model": case.row.model, "status": str(case.status)}
    if case.findings:
        row["findings"] = [_finding(finding) for finding in case.findings]
    if case.status is Status.REJECTED and case.energy_run_mj is not None:
        row["kept"] = {"energy_run_mj": case.energy_run_mj, "duration_s": case.duration_s}
    return row


def _finding(finding: Finding) -> Document:
    told: Document = {"code": finding.code, "effect": str(finding.effect), "because": finding.because}
    if finding.field:
        told["field"] = finding.field
    if finding.effect is Effect.REPAIRED:
        told |= {"from": finding.before, "to": finding.after}
    return told
