"""Rules of alerts as a table to edit: rows from documents, changes back; pure."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dashboard import words
from dashboard.actions import Action

Document = dict[str, Any]

EDITED = ("enabled", "severity", "comparison", "threshold", "for_s", "clear")
"""What of a rule can be changed in the table."""

EVERY = {"device": "every device", "rollout": "every rollout", "controller": "the controller"}
COMPARISONS = (">", ">=", "<", "<=")
SEVERITIES = ("warning", "critical")
FIELDS = (*EDITED, "quantity", "clear_for_s", "no_data_after_s", "device_ids", "tags", "device_types", "kinds")
TEXTS = ("says", "advice", "runbook")


def rows(rules: Sequence[Document]) -> list[Document]:
    """Return one row per rule; what does not apply is None."""
    return [_row(rule) for rule in rules]


def changes(rules: Sequence[Document], edited: Sequence[Mapping[str, Any]]) -> dict[str, Document]:
    """Return by name the fields that a person changed; rows are found by their rule's name, never by place."""
    before = {rule["name"]: rule for rule in rules}
    found = {}
    for row in edited:
        rule = before.get(row["rule"])
        if rule is None:
            continue
        now = {name: _plain(row[name]) for name in EDITED}
        changed = {name: value for name, value in now.items() if value != rule[name] and _given(name, value)}
        if changed:
            found[rule["name"]] = changed
    return found


def whole(rule: Document, changed: Mapping[str, Any]) -> Document:
    """Return a rule with its changes as a preview asks for it."""
    lists = {name: tuple(rule[name]) for name in ("device_ids", "tags", "device_types", "kinds")}
    return {name: rule[name] for name in (*FIELDS, *TEXTS)} | lists | dict(changed)


def save(changed: Mapping[str, Document]) -> Action:
    """Return what is asked before rules are changed."""
    names = tuple(changed)
    off = [name for name, fields in changed.items() if fields.get("enabled") is False]
    let_go = f" **{words.listed(off)}** off: its alerts end with it." if off else ""
    told = "; ".join(f"`{name}`: {_said(fields)}" for name, fields in changed.items())
    return Action(
        title=f"Change {words.count(len(names), 'rule')}",
        deed=f"Change {words.count(len(names), 'rule')}",
        consequence=f"{told}.{let_go} It holds from the next second on, for everybody.",
        method="change_alert_rule",
        targets=names,
        per_target={name: dict(fields) for name, fields in changed.items()},
        watched="in this table",
    )


def create(name: str, fields: Document) -> Action:
    """Return what is asked before a rule is made."""
    return Action(
        title=f"Make the rule {name}",
        deed="Make it",
        consequence=f"An alert when `{fields['quantity']} {fields['comparison']} {fields['threshold']:g}`.",
        method="put_alert_rule",
        targets=(name,),
        arguments=fields,
        watched="in this table",
    )


def remove(rule: Document) -> Action:
    """Return what is asked before a rule is removed, or one of ours is as it comes again."""
    ours = rule["built_in"]
    return Action(
        title=f"{'Reset' if ours else 'Remove'} the rule {rule['name']}",
        deed="Reset it" if ours else "Remove it",
        consequence="It is as EdgeWatt brings it again." if ours else "Its alerts end with it.",
        method="remove_alert_rule",
        targets=(rule["name"],),
        watched="in this table",
    )


def _row(rule: Document) -> Document:
    counts = rule["counts"]
    reach = [*rule["device_ids"], *rule["tags"], *rule["device_types"], *rule["kinds"]]
    return {
        "enabled": rule["enabled"],
        "rule": rule["name"],
        "severity": rule["severity"],
        "quantity": rule["quantity"],
        "comparison": rule["comparison"],
        "threshold": float(rule["threshold"]),
        "unit": rule["unit"],
        "for_s": float(rule["for_s"]),
        "clear": rule["clear"],
        "of": ", ".join(reach) or EVERY[rule["scope"]],
        "firing": counts["firing"] if rule["enabled"] else None,
        "no_data": counts["no_data"] if rule["enabled"] else None,
        "from": "you" if not rule["built_in"] else "EdgeWatt, changed" if rule["changed"] else "EdgeWatt",
        "why": rule["says"],
    }


def _plain(value: Any) -> Any:
    """Return a cell's value; an empty one is None, whatever the table makes of it."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return value.item() if hasattr(value, "item") else value


def _given(name: str, value: Any) -> bool:
    """Return whether a change makes sense: only where it clears may be left empty."""
    return value is not None or name == "clear"


def _said(fields: Mapping[str, Any]) -> str:
    shown = {"enabled": "on"}
    return ", ".join(f"{shown.get(name, name)} {_word(value)}" for name, value in fields.items())


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
