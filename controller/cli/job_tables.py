"""The workshop's jobs as tables; pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from controller.cli.console import Table
from controller.cli.figures import ABSENT, ago, number, span, text

Document = Mapping[str, Any]


def jobs(found: Iterable[Document]) -> Table:
    """Return one row per job."""
    columns = ("job", "model", "format", "state", "done", "since", "took", "by", "step or reason")
    return Table(columns=columns, rows=[_row(each) for each in found])


def job(document: Document) -> Table:
    """Return everything known of one job."""
    facts = [
        ("job", document["id"]),
        ("model", f"{document['model']} ({document['variant']}, {document['format']})"),
        ("made from", document["source"]),
        ("state", document["state"]),
        ("done", _percent(document)),
        ("step", text(document["step"])),
        ("asked for", f"{ago(document['created_at'])} by {document['who']}"),
        ("took", _took(document)),
        ("sha256", text(document["sha256"])),
        ("reason", text(document["message"])),
        ("hint", text(document["hint"])),
    ]
    return Table(columns=("what", "value"), rows=facts)


def artifact(document: Document) -> Table:
    """Return a file that is in the store."""
    size = number(document["size"] / 1e6, "MB")
    row = (document["model"], document["format"], size, document["sha256"])
    return Table(columns=("model", "format", "size", "sha256"), rows=[row])


def _row(each: Document) -> tuple[str, ...]:
    return (
        each["id"],
        each["model"],
        each["format"],
        each["state"],
        _percent(each),
        ago(each["ended_at"] or each["started_at"] or each["created_at"]),
        _took(each),
        each["who"],
        text(each["step"] or each["message"]),
    )


def _percent(each: Document) -> str:
    return f"{each['progress'] * 100:.0f} %" if each["started_at"] else ABSENT


def _took(each: Document) -> str:
    begun, ended = each["started_at"], each["ended_at"]
    return span(ended - begun) if begun and ended else ABSENT
