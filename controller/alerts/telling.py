"""Tells of alerts: each change as an event of the audited stream, and as a notice where a receiver is set."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from controller.alerts.documents import alert_document, sentence
from controller.alerts.notices import Notices
from controller.alerts.records import Silence
from controller.alerts.rule import Rule
from controller.alerts.state import Alert, Effect, Note
from controller.storage.store import Store

SAYS = {
    "firing": "began",
    "resolved": "is over",
    "no_data": "has no data any more and stays open",
    "data_back": "has data again",
    "acknowledged": "was acknowledged",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """Writes events and notices; call it inside a transaction. Without a receiver there are no `notices`."""

    store: Store
    notices: Notices | None

    def tell(self, alert: Alert, rule: Rule, effect: Effect, silences: Iterable[Silence], at: float) -> None:
        """Carry out what a step asks for."""
        if isinstance(effect, Note):
            self.note(alert, rule, effect, at)
        elif self.notices is not None:
            document = alert_document(alert, rule, silences, at)
            self.notices.put({"event": effect.word, "at": at, "alert": document}, at)

    def note(self, alert: Alert, rule: Rule, note: Note, at: float, who: str = "controller") -> None:
        """Make a change an event."""
        facts: dict[str, Any] = {"alert_id": alert.id, "rule": rule.name, "severity": rule.severity}
        facts["state"] = alert.state.value
        facts |= {"value": alert.value, "unit": rule.watched.unit, "kind": alert.kind or None, "fired": alert.fired}
        if note.word == "acknowledged" and alert.acknowledged is not None:
            facts["reason"] = alert.acknowledged.note
        text = f"{rule.severity} alert {alert.id} {SAYS[note.word]}: {sentence(alert, rule)}"
        self._event(alert, text, facts, at, who)

    def let_go(self, alert: Alert, at: float) -> None:
        """Say that an open alert ends because no rule speaks of it any more."""
        facts = {"alert_id": alert.id, "rule": alert.rule, "state": "ok"}
        self._event(alert, f"alert {alert.id} ended: no rule that is switched on means it any more", facts, at)
        if self.notices is not None and alert.told:
            known = {"id": alert.id, "rule": alert.rule, "subject": alert.subject, "state": "ok"}
            self.notices.put({"event": "resolved", "at": at, "alert": known}, at)

    def silence_over(self, silence: Silence, at: float) -> None:
        """Say that a silence has ended by itself."""
        text = f"the silence of {meant(silence)} is over"
        self.store.add_event(at, "alert", text, device_id=silence.device_id, facts={"silence_id": silence.id})

    def _event(self, alert: Alert, text: str, facts: dict[str, Any], at: float, who: str = "controller") -> None:
        device_id = alert.subject if self._is_device(alert.subject) else None
        facts |= {"rollout_id": alert.rollout_id} if alert.rollout_id else {}
        self.store.add_event(
            at, "alert", text, who=who, device_id=device_id, deployment_id=alert.deployment_id, facts=facts
        )

    def _is_device(self, subject: str) -> bool:
        return self.store.has_device(subject)


def meant(silence: Silence) -> str:
    """Return what a silence is about, in words."""
    if silence.device_id and silence.rule:
        return f"{silence.rule}@{silence.device_id}"
    return f"every alert of {silence.device_id}" if silence.device_id else f"the rule {silence.rule}"
