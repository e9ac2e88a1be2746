"""The part of the REST client that speaks of alerts: what is open, who has seen it, silences, rules."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

Document = dict[str, Any]

LOOKING_BACK_S = 60.0
"""How long a preview over a large fleet may take."""

RULE_FIELDS = (
    "quantity",
    "comparison",
    "threshold",
    "severity",
    "for_s",
    "clear",
    "clear_for_s",
    "no_data_after_s",
    "device_ids",
    "tags",
    "device_types",
    "kinds",
    "says",
    "advice",
    "runbook",
    "enabled",
)
"""What a rule is made of, besides its name; its document has more."""


class Alerts(ABC):
    """Methods of `controller.client.Client`, which knows how to ask."""

    @abstractmethod
    def _get(self, path: str, **params: Any) -> Document: ...

    @abstractmethod
    def _send(self, method: str, path: str, body: Any = None, *, timeout_s: float | None = None) -> Document: ...

    def alerts(
        self,
        *,
        view: str = "open",
        state: str = "",
        severity: str = "",
        device_id: str = "",
        rule: str = "",
        limit: int = 100,
        offset: int = 0,
    ) -> Document:
        """Return one page of alerts, worst first, `{total, counts, alerts}`."""
        wanted = {"view": view, "state": state, "severity": severity, "device_id": device_id, "rule": rule}
        return self._get("/api/alerts", **wanted, limit=limit, offset=offset)

    def ack_alert(self, alert_id: str, *, note: str = "") -> Document:
        """Say that somebody has seen an open alert."""
        return self._send("POST", f"/api/alerts/{_segment(alert_id)}/ack", {"note": note})

    def silence_alert(self, alert_id: str, *, for_s: float, why: str = "", reach: str = "alert") -> Document:
        """Send no notices for a while: of this alert, or of its whole `device` or `rule`."""
        body = {"for_s": for_s, "why": why, "reach": reach}
        return self._send("POST", f"/api/alerts/{_segment(alert_id)}/silence", body)

    def silence(
        self, *, for_s: float, device_id: str | None = None, rule: str | None = None, why: str = ""
    ) -> Document:
        """Silence a device, a rule, or that rule on that device."""
        body = {"for_s": for_s, "device_id": device_id, "rule": rule, "why": why}
        return self._send("POST", "/api/alerts/silences", body)

    def silences(self) -> Document:
        """Return what is silenced now."""
        return self._get("/api/alerts/silences")

    def end_silence(self, silence_id: str) -> Document:
        """End a silence."""
        return self._send("DELETE", f"/api/alerts/silences/{_segment(silence_id)}")

    def alert_rules(self) -> Document:
        """Return every rule and what can be watched, `{rules, quantities}`."""
        return self._get("/api/alerts/rules")

    def alert_rule(self, name: str) -> Document:
        """Return one rule under `rule`."""
        return self._get(_rule(name))

    def put_alert_rule(self, name: str, **fields: Any) -> Document:
        """Make a rule or replace one; `fields` are all of it."""
        return self._send("PUT", _rule(name), fields)

    def change_alert_rule(self, name: str, **fields: Any) -> Document:
        """Change some `fields` of a rule that is there."""
        return self.put_alert_rule(name, **(rule_fields(self.alert_rule(name)["rule"]) | fields))

    def remove_alert_rule(self, name: str) -> Document:
        """Remove a rule, or let one of EdgeWatt's be as it comes again."""
        return self._send("DELETE", _rule(name))

    def preview_alert_rule(self, *, days: float = 7.0, **fields: Any) -> Document:
        """Return how often a rule would have fired, `{fired, devices, sentence}`; nothing is changed."""
        return self._send("POST", "/api/alerts/rules/preview", fields | {"days": days}, timeout_s=LOOKING_BACK_S)


def rule_fields(document: Mapping[str, Any]) -> Document:
    """Return what of a rule's document makes the rule."""
    return {name: document[name] for name in RULE_FIELDS}


def _segment(name: str) -> str:
    return quote(name, safe="")


def _rule(name: str) -> str:
    return f"/api/alerts/rules/{_segment(name)}"
