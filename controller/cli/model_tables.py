"""Models as tables; pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from controller.cli.console import Table
from controller.cli.figures import ABSENT, clock, mj, number, text

Document = Mapping[str, Any]

SEVERAL = 2

_STEPS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def models(found: Iterable[Document], *, predicted: bool = False) -> Table:
    """Return one row per model; a column of energies when they were `predicted`."""
    columns = ("model", "stored", "means", "params", "MACs", "top-1", *(("energy",) if predicted else ()))
    return Table(columns=columns, rows=[_row(model, predicted=predicted) for model in found])


def model(document: Document) -> list[Table]:
    """Return what is known of one model, and its files."""
    facts = [
        ("model", document["name"]),
        ("its name means", text(document.get("means"))),
        ("family", text(document.get("family"))),
        ("made from", text(document.get("source"))),
        ("trained", ABSENT if document.get("trained") is None else "yes" if document["trained"] else "no"),
        ("top-1", _sourced(number(document.get("top1_pct"), "%"), document.get("top1_source"))),
        ("parameters", _scaled(document.get("params_m"), 1e6)),
        ("MACs", _scaled(document.get("gmacs"), 1e9)),
        ("MACs as published", _sourced(_scaled(document.get("gmacs_published"), 1e9), document.get("note"))),
        ("depthwise MACs", _scaled(document.get("dw_gmacs"), 1e9)),
        ("conv outputs", _scaled(document.get("macts_m"), 1e6)),
        ("convolutions", number(document.get("n_convs"), digits=6)),
        ("input", "×".join(str(side) for side in document.get("input_shape") or ()) or ABSENT),
        ("labels", number(document.get("labels"), digits=6)),
    ]
    files = [_file(artifact) for artifact in document.get("artifacts") or ()]
    drawn = [Table(columns=("what", "value"), rows=facts)]
    if files:
        head = ("format", "variant", "size", "opset", "golden check", "made", "sha256")
        drawn.append(Table(columns=head, rows=files, title="in the store"))
    return drawn


def _row(model: Document, *, predicted: bool) -> tuple[str, ...]:
    said = model.get("prediction") or {}
    return (
        model["name"],
        ", ".join(model.get("formats") or ()) or ABSENT,
        _means(model),
        _scaled(model.get("params_m"), 1e6),
        _scaled(model.get("gmacs"), 1e9),
        "untrained" if model.get("trained") is False else number(model.get("top1_pct"), "%"),
        *((mj(said.get("energy_mj")),) if predicted else ()),
    )


def _means(model: Document) -> str:
    """Return which version a bare name means, where that is a question."""
    promoted = model.get("promoted_sha256")
    if promoted:
        return f"{promoted[:8]}, promoted"
    return ABSENT if (model.get("versions") or 0) < SEVERAL else f"newest of {model['versions']}"


def _file(artifact: Document) -> tuple[str, ...]:
    golden = artifact.get("golden")
    return (
        text(artifact.get("format")),
        text(artifact.get("variant")),
        _scaled(artifact.get("size"), 1, "B"),
        text(artifact.get("opset")),
        f"{golden['max_abs']:.2g} apart, {golden['top1_agreement']:.0%} agree" if golden else ABSENT,
        clock(artifact.get("created_at")),
        text(artifact.get("sha256")),
    )


def _sourced(figure: str, source: str | None) -> str:
    return f"{figure} ({source})" if figure != ABSENT and source else figure


def _scaled(value: float | None, unit_size: float, unit: str = "") -> str:
    """Return a count given in `unit_size` with the prefix that keeps it readable."""
    if value is None:
        return ABSENT
    size, prefix = next(((size, prefix) for size, prefix in _STEPS if abs(value * unit_size) >= size), (1.0, ""))
    return number(value * unit_size / size, prefix + unit)
