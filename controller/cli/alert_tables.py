"""Alerts, silences and rules as tables; pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from controller.cli.console import Table
from controller.cli.figures import ABSENT, ago, clock, number, span, text

Document = Mapping[str, Any]
SIGNS = {">=": "≥", "<=": "≤"}
EVERY = {"device": "every device", "rollout": "every rollout", "controller": "the controller"}
_VIEWS = ("acknowledged", "silenced", "pending", "no_data", "resolved")


def alerts(found: Iterable[Document]) -> Table:
    """Return one row per alert."""
    columns = ("alert", "severity", "state", "since", "value", "limit", "reading", "times", "seen by", "what to do")
    return Table(columns=columns, rows=[_alert(each) for each in found])


def summary(found: Document) -> str:
    """Return how many alerts there are, in one line."""
    counts = found["counts"]
    shown = f"{len(found['alerts'])} of {found['total']} shown"
    others = ", ".join(f"{counts[view]} {view.replace('_', ' ')}" for view in _VIEWS if counts[view])
    return f"{counts['open']} open ({counts['critical']} critical){f', {others}' if others else ''}; {shown}"


def silences(found: Iterable[Document]) -> Table:
    """Return one row per silence."""
    rows = [
        (
            each["id"],
            each["device_id"] or "every",
            each["rule"] or "every",
            clock(each["until"]),
            each["who"],
            text(each["why"]),
        )
        for each in found
    ]
    return Table(columns=("silence", "device", "rule", "until", "by", "why"), rows=rows)


def rules(found: Iterable[Document]) -> Table:
    """Return one row per rule, with on how many subjects it stands how."""
    columns = ("rule", "severity", "when", "clears", "of", "on", "firing", "pending", "no data", "from")
    return Table(columns=columns, rows=[_rule(each) for each in found])


def rule(found: Document) -> Table:
    """Return one rule as facts."""
    rows = [
        ("rule", found["name"] + ("" if found["enabled"] else " (off)")),
        ("severity", found["severity"]),
        ("when", found["condition"]),
        ("clears", _clears(found)),
        ("of", _reach(found)),
        ("no data after", span(found["no_data_after_s"])),
        ("because", text(found["says"])),
        ("what to do", text(found["advice"])),
        ("runbook", text(found["runbook"])),
        ("from", _origin(found)),
    ]
    return Table(columns=("what", "value"), rows=rows)


def quantities(found: Iterable[Document]) -> Table:
    """Return what can be watched."""
    rows = [
        (each["name"], text(each["unit"]), each["scope"], "yes" if each["previewed"] else "no", each["says"])
        for each in found
    ]
    return Table(columns=("quantity", "unit", "of", "preview", "is"), rows=rows, title="what can be watched")


def preview(found: Document) -> list[Table]:
    """Return how often a rule would have fired, and where most."""
    tables = [Table(columns=("preview",), rows=[(found["sentence"],)])]
    rows = [
        (each["device_id"], str(each["fired"]), clock(each["first_at"]), clock(each["last_at"]), span(each["firing_s"]))
        for each in found["devices"]
    ]
    return [*tables, Table(columns=("device", "times", "first", "last", "in all"), rows=rows)] if rows else tables


def _alert(each: Document) -> tuple[str, ...]:
    kind = f" ({each['kind']})" if each["kind"] else ""
    return (
        each["id"],
        each["severity"],
        _state(each),
        ago(each["since"]),
        f"{number(each['value'], each['unit'])}{kind}",
        f"{SIGNS.get(each['comparison'], each['comparison'])} {number(each['threshold'], each['unit'])}",
        f"{span(each['reading_age_s'])} ago" if each["reading_age_s"] is not None else ABSENT,
        f"{each['fired']}{', flapping' if each['flapping'] else ''}",
        text((each["acknowledged"] or {}).get("who")),
        text(each["advice"]),
    )


def _state(each: Document) -> str:
    held = ", still open" if each["state"] == "no_data" and each["open"] else ""
    silenced = ", silenced" if each["silenced"] else ""
    return f"{each['state'].replace('_', ' ')}{held}{silenced}"


def _rule(each: Document) -> tuple[str, ...]:
    counts = each["counts"]
    figures = tuple(str(counts[name]) if each["enabled"] else ABSENT for name in ("firing", "pending", "no_data"))
    return (
        each["name"],
        each["severity"],
        each["condition"],
        _clears(each),
        _reach(each),
        "yes" if each["enabled"] else "no",
        *figures,
        _origin(each),
    )


def _clears(each: Document) -> str:
    at = "at once" if each["clear"] is None else f"at {number(each['clear'], each['unit'])}"
    return f"{at}, after {span(each['clear_for_s'])}" if each["clear_for_s"] else at


def _reach(each: Document) -> str:
    named = [*each["device_ids"], *each["tags"], *each["device_types"], *each["kinds"]]
    return ", ".join(named) or EVERY[each["scope"]]


def _origin(each: Document) -> str:
    if not each["built_in"]:
        return "you"
    return "EdgeWatt, changed" if each["changed"] else "EdgeWatt"
