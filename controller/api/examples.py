"""Examples of answers, recorded from a running controller: their place in the OpenAPI document, and their shape."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).with_name("answers.json")
"""An answer for each `METHOD /path/{template}`; `python -m tests.rest_story` records them anew."""

_FILES = (
    ("GET /models/", "application/octet-stream"),
    ("GET /api/logs/archives/", "application/gzip"),
    ("GET /metrics", "text/plain"),
)
"""Types of files, by how the operation begins; others are tables."""


def recorded() -> dict[str, Any]:
    """Return the recorded answers."""
    found: dict[str, Any] = json.loads(RECORDED.read_text("utf-8"))
    return found


def with_answers(document: dict[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI `document` with an example and its schema for each 2xx answer."""
    answers = recorded()
    for name, operation in operations(document):
        told = next(answer for code, answer in operation["responses"].items() if code.startswith("2"))
        if "content" not in told:
            told["content"] = {media_of(name): {"schema": {"type": "string", "format": "binary"}}}
        elif name in answers:
            told["content"] = {"application/json": {"schema": schema_of(answers[name]), "example": answers[name]}}
    return document


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each operation of an OpenAPI document as `METHOD /path/{template}`."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def media_of(name: str) -> str:
    """Return the type of the file that an operation answers with."""
    return next((media for begin, media in _FILES if name.startswith(begin)), "text/csv")


def schema_of(value: Any) -> dict[str, Any]:
    """Return the schema that an example lets one tell: what a field is, when it is there and not null."""
    if isinstance(value, dict):
        return {"type": ["object", "null"], "properties": {name: schema_of(each) for name, each in value.items()}}
    if isinstance(value, list):
        return {"type": ["array", "null"], "items": schema_of(value[0]) if value else {}}
    return {} if value is None else {"type": [_kind(value), "null"]}


def differences(example: Any, answer: Any, at: str = "$") -> Iterator[str]:
    """Yield where two documents have another shape; null and an empty list or object are of any."""
    if example is None or answer is None or [] in (example, answer) or {} in (example, answer):
        return
    if isinstance(example, dict) and isinstance(answer, dict):
        yield from (f"{at}.{name} is gone" for name in sorted(example.keys() - answer.keys()))
        yield from (f"{at}.{name} is new" for name in sorted(answer.keys() - example.keys()))
        for name in sorted(example.keys() & answer.keys()):
            yield from differences(example[name], answer[name], f"{at}.{name}")
    elif isinstance(example, list) and isinstance(answer, list):
        yield from differences(example[0], answer[0], f"{at}[0]")
    elif _kind(example) != _kind(answer):
        yield f"{at} is {_kind(answer)}, not {_kind(example)}"


def _kind(value: Any) -> str:
    kinds = {bool: "boolean", int: "number", float: "number", str: "string", dict: "object", list: "array"}
    return kinds[type(value)]
