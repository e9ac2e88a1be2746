"""How documents are kept in columns: as JSON."""

import json
from typing import Any

import msgspec

from broker.wire import document

DOCUMENTS = frozenset({"info", "status", "state", "desired", "reading", "facts"})
"""Columns that hold a JSON document."""


def encoded(value: Any) -> Any:
    """Return what is stored for `value`: documents become JSON."""
    if isinstance(value, msgspec.Struct):
        return msgspec.json.encode(value).decode()
    plain = document(value)
    return json.dumps(plain, separators=(",", ":")) if isinstance(plain, (dict, list)) else plain


def decoded(row: dict[str, Any]) -> dict[str, Any]:
    """Return `row` with its documents as dicts."""
    return {
        name: msgspec.json.decode(value) if name in DOCUMENTS and isinstance(value, str) else value
        for name, value in row.items()
    }
