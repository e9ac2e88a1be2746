"""How good the predictor is: what training says of itself, and what the fleet measured since; pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from dashboard import words
from dashboard.markup import join, number, pill, table, tag

Document = dict[str, Any]

WORST = 10
LEVEL = 95.0
"""What share of the intervals should hold, %."""
NEAR = 3.0
"""How far from it a share may be before it is marked, points."""


def boards(metadata: Mapping[str, Any]) -> list[Document]:
    """Return what training found for each board: rows, errors and coverage on networks and families it had not seen."""
    return [_board(name, part) for name, part in (metadata.get("boards") or {}).items()]


def board_table(found: Iterable[Document]) -> Markup:
    """Return the figures of training, one row per board."""
    head = ["Board", "Rows", "Networks", "Error, unseen network", "Error, unseen family", "95 % held", "Width"]
    rows = [
        [
            tag("span", join([tag("b", each["board"]), tag("small", each["runtime"])]), of="stack"),
            words.figure(each["rows"], 5),
            words.figure(each["architectures"], 5),
            number(each["mape_pct"], "%"),
            number(each["family_mape_pct"], "%"),
            _held(each["coverage_pct"]),
            number(each["width_pct"], "%"),
        ]
        for each in found
    ]
    return table(head, rows, right=(1, 2, 3, 4, 5, 6))


def errors(found: Iterable[Document]) -> list[Document]:
    """Return the errors of training as rows for a chart."""
    kinds = (("unseen network", "mape_pct"), ("unseen family", "family_mape_pct"))
    return [
        {"board": each["board"], "what": what, "percent": each[key]}
        for each in found
        for what, key in kinds
        if each[key] is not None
    ]


def provenance(metadata: Mapping[str, Any]) -> str:
    """Return what the predictor was trained on, and when where it says so."""
    data = metadata.get("data") or {}
    when = data.get("date") or metadata.get("trained_at") or data.get("trained_at")
    parts = [str(data.get("source") or "unknown data"), f"trained {when}" if when else ""]
    parts.append(f"data {str(data['sha256'])[:12]}" if data.get("sha256") else "")
    return " · ".join(part for part in parts if part)


def compared(entries: Iterable[Document]) -> list[Document]:
    """Return entries of the ledger that have both figures, as points; truth is told from what was no meter."""
    return [
        {
            "model": each["model"],
            "device": each["device_id"],
            "board": each.get("device_type") or "unknown",
            "predicted_mj": each["predicted_mj"],
            "low_mj": each.get("low_mj"),
            "high_mj": each.get("high_mj"),
            "actual_mj": each["actual_mj"],
            "known": "measured" if each.get("counts_as_truth") else f"{each.get('source')}: no truth",
        }
        for each in entries
        if each.get("predicted_mj") and each.get("actual_mj")
    ]


def group_table(groups: Mapping[str, Mapping[str, Any]], what: str) -> Markup:
    """Return the fleet's own errors by board or by family, against what meters said."""
    rows = [
        [
            tag("b", name),
            words.figure(each.get("n"), 5),
            number(each.get("mape_percent"), "%"),
            number(each.get("bias_percent"), "%"),
            _held(each.get("coverage_percent")),
        ]
        for name, each in groups.items()
    ]
    return table([what, "Measured", "Error", "Bias", "95 % held"], rows, right=(1, 2, 3, 4))


def worst(entries: Iterable[Document]) -> list[Document]:
    """Return the ten entries of truth that were predicted worst: measure these again, or calibrate their boards."""
    true = [each for each in entries if each.get("counts_as_truth") and each.get("error_percent") is not None]
    return sorted(true, key=lambda each: -abs(each["error_percent"]))[:WORST]


def worst_table(found: Sequence[Document]) -> Markup:
    """Return the worst predictions, each with the command that measures it again."""
    rows = [
        [
            tag("span", join([tag("b", each["model"]), tag("small", each["device_id"])]), of="stack"),
            number(each["predicted_mj"], "mJ", "predicted"),
            number(each["actual_mj"], "mJ", "measured"),
            number(each["error_percent"], "%"),
            tag("code", f"edgewatt devices measure {each['device_id']} {each['model']}"),
        ]
        for each in found
    ]
    return table(["Predicted worst", "Predicted", "Measured", "Error", "Measure it again"], rows, right=(1, 2, 3))


def drift_table(found: Iterable[Document]) -> Markup:
    """Return the devices that a model costs more than when it was deployed there."""
    rows = [
        [
            tag("b", each["device_id"]),
            each.get("model") or words.NOTHING,
            number(each.get("baseline_mj"), "mJ"),
            number(each.get("by_percent"), "%"),
            pill("alarm", "bad") if each.get("alarm") else pill("watched", "warn"),
        ]
        for each in found
    ]
    return table(["Costs more than it did", "Model", "Then", "More by", ""], rows, right=(2, 3))


def _board(name: str, part: Mapping[str, Any]) -> Document:
    figures = ((part.get("kinds") or {}).get("full") or {}).get("figures") or part.get("figures") or {}
    names = ("mape_pct", "family_mape_pct", "coverage_pct", "width_pct")
    facts = {key: part.get(key) for key in ("rows", "architectures")}
    told = {key: figures.get(key) for key in names}
    return {"board": name, "runtime": part.get("framework") or part.get("runtime") or ""} | facts | told


def _held(percent: float | None) -> Markup:
    if percent is None or abs(percent - LEVEL) <= NEAR:
        return number(percent, "%")
    return join([number(percent, "%"), " ", pill("below" if percent < LEVEL else "wide", "warn")])
