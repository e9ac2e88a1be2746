"""Alerts, rules and silences as REST, the command line and receivers of notices are told of them; pure."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from controller.alerts.records import Silence
from controller.alerts.rule import Rule
from controller.alerts.state import MEANS, Alert, AlertState

Document = dict[str, Any]


def alert_document(alert: Alert, rule: Rule, silences: Iterable[Silence], now: float) -> Document:
    """Return an alert with what was watched, by what rule, and what people said of it."""
    silence = next((each for each in silences if each.covers(alert)), None)
    watched = rule.watched
    age_s = None if alert.reading_at is None else max(0.0, round(now - alert.reading_at, 1))
    return {
        "id": alert.id,
        "rule": alert.rule,
        "severity": rule.severity,
        "scope": watched.scope,
        "subject": alert.subject,
        "device_id": alert.subject if watched.scope == "device" else None,
        "state": alert.state.value,
        "open": alert.open,
        "since": alert.since,
        "began_at": alert.fired_at[-1] if alert.open and alert.fired_at else None,
        "sentence": sentence(alert, rule),
        "why": alert.why or None,
        "quantity": rule.quantity,
        "value": alert.value,
        "unit": watched.unit,
        "kind": alert.kind or None,
        "comparison": rule.comparison,
        "threshold": rule.threshold,
        "condition": rule.condition,
        "reading_at": alert.reading_at,
        "reading_age_s": age_s,
        "says": rule.says,
        "advice": rule.advice,
        "runbook": rule.runbook,
        "deployment_id": alert.deployment_id,
        "rollout_id": alert.rollout_id,
        "fired": alert.fired,
        "fired_at": list(alert.fired_at),
        "flapping": alert.flaps(now),
        "resolved_at": alert.resolved_at,
        "acknowledged": asdict(alert.acknowledged) if alert.acknowledged else None,
        "silenced": asdict(silence) if silence else None,
    }


def sentence(alert: Alert, rule: Rule) -> str:
    """Return what an alert says, in one line."""
    figure = "no figure" if alert.value is None else f"{alert.value:.4g} {rule.watched.unit}".rstrip()
    kind = f" ({alert.kind})" if alert.kind else ""
    match alert.state:
        case AlertState.NO_DATA if alert.held:
            return f"{rule.condition}; last {figure}{kind}, and no data since: {alert.why}"
        case AlertState.NO_DATA:
            return f"{rule.condition}; no data: {alert.why}"
        case AlertState.RESOLVED:
            return f"{rule.condition}; over, last {figure}{kind}"
        case _:
            return f"{rule.condition}; now {figure}{kind}"


def rule_document(rule: Rule, *, built_in: bool, changed: bool, counts: Mapping[tuple[str, str], int]) -> Document:
    """Return a rule, whose it is, and on how many subjects it stands how where that is not `ok`."""
    found = {state.value: counts.get((rule.name, state.value), 0) for state in AlertState if state.value != "ok"}
    lists = {name: list(getattr(rule, name)) for name in ("device_ids", "tags", "device_types", "kinds")}
    return (
        asdict(rule)
        | lists
        | {
            "unit": rule.watched.unit,
            "scope": rule.watched.scope,
            "condition": rule.condition,
            "built_in": built_in,
            "changed": changed,
            "counts": found,
        }
    )


def quantity_documents() -> list[Document]:
    """Return what can be watched."""
    from controller.alerts.quantities import QUANTITIES  # noqa: PLC0415 - the only use here

    names = ("name", "unit", "scope", "says", "is_energy")
    return [
        {name: getattr(each, name) for name in names} | {"previewed": bool(each.column)} for each in QUANTITIES.values()
    ]


STATES: dict[str, str] = {state.value: means for state, means in MEANS.items()}
