"""What people and the controller do with alerts: acknowledge, silence, change rules, look; each change is audited."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from broker.errors import ConflictError, InvalidError, NotFoundError, StorageError
from broker.link import Packet
from broker.messages import Telemetry
from controller import fleet
from controller.alerts.builtin import BUILT_IN
from controller.alerts.documents import alert_document, quantity_documents, rule_document
from controller.alerts.evaluating import Evaluating
from controller.alerts.facts import OwnFacts
from controller.alerts.notices import Notices
from controller.alerts.records import VIEWS, Alerts, Silence
from controller.alerts.rule import Rule
from controller.alerts.rulebook import RuleBook
from controller.alerts.state import Acknowledged, Alert, AlertState, Note, step
from controller.alerts.telling import Telling, meant
from controller.sleep import clock
from controller.storage.store import Store

LONGEST_SILENCE_S = 30 * 86_400.0
MOST_RULES = 200
NOT_WRITTEN = "database-not-written"

Document = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class AlertDesk:
    """The way to alerts for the bus, for REST and for time that passes."""

    evaluating: Evaluating
    own: OwnFacts
    unwritten: Alert | None = None

    @property
    def store(self) -> Store:
        """Where everything is kept."""
        return self.evaluating.store

    @property
    def records(self) -> Alerts:
        """How rules stand."""
        return self.evaluating.alerts

    @property
    def book(self) -> RuleBook:
        """The rules that hold."""
        return self.evaluating.book

    @property
    def telling(self) -> Telling:
        """Who hears of changes."""
        return self.evaluating.telling

    @property
    def notices(self) -> Notices | None:
        """What waits for the receiver, where one is set."""
        return self.telling.notices

    def heard(self, newest: Mapping[str, tuple[Telemetry, float]], words: list[Packet]) -> None:
        """Note what has to be looked at, after a batch was written; inside its transaction."""
        self.evaluating.heard(newest, words)

    def tick(self, at: float, storage_fault: str | None) -> None:
        """Hold the rules against what is due. Raises StorageError, and shows that as an alert of its own."""
        try:
            with self.store.transaction():
                fault = storage_fault or (self.unwritten.why if self.unwritten else None)
                self.evaluating.tick(at, self.own.readings(at, fault))
        except StorageError as error:
            self.evaluating.forget()
            self._cannot_write(at, error.message)
            raise
        self.unwritten = None

    def counts(self, at: float) -> dict[str, int]:
        """Return how many alerts there are in each view, and how many open ones of each severity."""
        found = self.records.counts(at)
        return found | {"open": found["open"] + 1, "critical": found["critical"] + 1} if self.unwritten else found

    def page(self, at: float, view: str, limit: int, offset: int, **wanted: str) -> tuple[int, list[Document]]:
        """Return how many alerts match, and one page of them, worst first. Raises InvalidError."""
        _known("view", view, VIEWS)
        _known("state", wanted.get("state") or "firing", {state.value for state in AlertState})
        _known("severity", wanted.get("severity") or "warning", {"warning", "critical"})
        total, found = self.records.page(at=at, view=view, limit=limit, offset=offset, **wanted)
        if self.unwritten is not None and not offset and view in ("open", "all") and not any(wanted.values()):
            total, found = total + 1, [self.unwritten, *found][:limit]
        rules, silences = self.book.all, self.evaluating.silences.active(at)
        return total, [alert_document(each, rules[each.rule], silences, at) for each in found if each.rule in rules]

    def document(self, alert: Alert, at: float) -> Document:
        """Return one alert as people see it."""
        return alert_document(alert, self.book.all[alert.rule], self.evaluating.silences.active(at), at)

    def known(self, alert_id: str) -> Alert:
        """Return an alert by its id, `rule@subject`. Raises NotFoundError."""
        rule, _, subject = alert_id.partition("@")
        found = self.records.get(rule, subject)
        if found is None or rule not in self.book.all:
            raise NotFoundError(f"no alert '{alert_id[:120]}'", hint="`edgewatt alerts list --all` shows them")
        return found

    def acknowledge(self, alert_id: str, note: str, who: str, at: float) -> Document:
        """Say that somebody has seen an open alert. Raises NotFoundError, ConflictError."""
        before = self.known(alert_id)
        if not before.open:
            hint = "only what fires, or lost its data while it did, can be acknowledged"
            raise ConflictError(f"{alert_id} is {before.state.value.replace('_', ' ')}", hint=hint)
        rule = self.book.all[before.rule]
        after, effects = step(before, Acknowledged(who=who, note=note), rule, at)
        with self.store.transaction():
            self.records.put([after], self.book.all)
            for effect in effects:
                if isinstance(effect, Note):
                    self.telling.note(after, rule, effect, at, who)
        return self.document(after, at)

    def silence(
        self, *, device_id: str | None, rule: str | None, for_s: float, why: str, who: str, at: float
    ) -> Silence:
        """Hear nothing of a device, a rule, or one on the other for a while. Raises InvalidError, NotFoundError."""
        if not device_id and not rule:
            raise InvalidError("nothing is named", hint="device_id, rule, or both", field="device_id")
        if not 1.0 <= for_s <= LONGEST_SILENCE_S:
            hint = "a second to 30 days; a rule that is never wanted can be switched off"
            raise InvalidError(f"for_s {for_s:g} is no time to be silent", hint=hint, field="for_s")
        if rule:
            self.rule(rule)
        if device_id and not self.store.has_device(device_id) and not self._is_subject(device_id):
            hint = fleet.nearest(device_id, self.store.near(device_id))
            raise NotFoundError(f"no device '{device_id[:80]}'", code="unknown_device", hint=hint)
        made = Silence(
            id=uuid.uuid4().hex[:12], at=at, until=at + for_s, who=who, why=why, device_id=device_id, rule=rule
        )
        with self.store.transaction():
            self.evaluating.silences.add(made)
            self._tell(f"{meant(made)} is silenced until {clock(made.until, at)}", made, why, who, at)
        return made

    def silences(self, at: float) -> list[Silence]:
        """Return what is silenced now."""
        return self.evaluating.silences.active(at)

    def unsilence(self, silence_id: str, who: str, at: float) -> Silence:
        """End a silence. Raises NotFoundError."""
        found = self.evaluating.silences.get(silence_id)
        if found is None:
            raise NotFoundError(f"no silence '{silence_id[:80]}'", hint="it may be over: `edgewatt alerts silences`")
        with self.store.transaction():
            self.evaluating.silences.remove(silence_id)
            self._tell(f"{meant(found)} is silenced no more", found, "", who, at)
        return found

    def rules(self) -> list[Document]:
        """Return every rule with on how many subjects it stands how."""
        counts = self.records.by_rule()
        return [self._rule_document(rule, counts) for rule in self.book.all.values()]

    def quantities(self) -> list[Document]:
        """Return what can be watched."""
        return quantity_documents()

    def rule(self, name: str) -> Document:
        """Return one rule. Raises NotFoundError with the nearest names."""
        found = self.book.all.get(name)
        if found is None:
            raise NotFoundError(f"no rule '{name[:60]}'", hint=fleet.nearest(name, self.book.all))
        return self._rule_document(found, self.records.by_rule())

    def put_rule(self, rule: Rule, who: str, at: float) -> Document:
        """Make a rule, or change one; one that is switched off lets go of its alerts. Raises ConflictError."""
        known = self.book.all.get(rule.name)
        if known is None and len(self.book.all) >= MOST_RULES:
            raise ConflictError(f"there are {MOST_RULES} rules already", hint="remove one that nobody needs")
        if known == rule:
            return self.rule(rule.name)
        self._write(rule, known, who, at)
        return self.rule(rule.name)

    def remove_rule(self, name: str, who: str, at: float) -> Document | None:
        """Forget a rule of people; return ours that holds again, if any. Raises NotFoundError, ConflictError."""
        self.rule(name)
        ours = BUILT_IN.get(name)
        if ours is not None and not self.book.changed(name):
            hint = f"switch it off instead: edgewatt alerts rules set {name} --off"
            raise ConflictError(f"{name} is a rule of EdgeWatt and as it comes", hint=hint)
        with self.store.transaction():
            self.evaluating.book.stored.remove(name)
            if ours is None:
                self._let_go(name, at)
            text = f"the rule {name} {'is as it comes again' if ours else 'was removed'}"
            self.store.add_event(at, "alert", text, who=who, facts={"rule": name})
        self.book.forget()
        return None if ours is None else self.rule(name)

    def _write(self, rule: Rule, known: Rule | None, who: str, at: float) -> None:
        with self.store.transaction():
            self.book.stored.put(rule, who, at)
            if not rule.enabled or (known is not None and known.watched.scope != rule.watched.scope):
                self._let_go(rule.name, at)
            self.records.put(self.records.of_rule(rule.name), {rule.name: rule})
            deed = "made" if known is None else "changed"
            off = "" if rule.enabled else ", and is switched off"
            text = f"the rule {rule.name} was {deed}: {rule.severity} when {rule.condition}{off}"
            self.store.add_event(at, "alert", text, who=who, facts={"rule": rule.name, "enabled": rule.enabled})
        self.book.forget()

    def _let_go(self, name: str, at: float) -> None:
        gone = self.records.of_rule(name)
        for alert in gone:
            if alert.open or alert.told:
                self.telling.let_go(alert, at)
        self.records.remove(gone)

    def _rule_document(self, rule: Rule, counts: dict[tuple[str, str], int]) -> Document:
        name = rule.name
        return rule_document(rule, built_in=name in BUILT_IN, changed=self.book.changed(name), counts=counts)

    def _tell(self, text: str, silence: Silence, why: str, who: str, at: float) -> None:
        device_id = silence.device_id if silence.device_id and self.store.has_device(silence.device_id) else None
        facts = {"silence_id": silence.id, "rule": silence.rule, "until": silence.until, "reason": why or None}
        self.store.add_event(at, "alert", text, who=who, device_id=device_id, facts=facts)

    def _is_subject(self, subject: str) -> bool:
        return subject == "controller" or bool(
            self.store.query("SELECT 1 AS n FROM alerts WHERE subject = ? LIMIT 1", [subject])
        )

    def _cannot_write(self, at: float, message: str) -> None:
        """Show an alert that cannot be kept, and hand its notice over at once."""
        if self.unwritten is not None:
            self.unwritten = replace(self.unwritten, reading_at=at)
            return
        began = Alert(rule=NOT_WRITTEN, subject="controller", since=at, state=AlertState.FIRING, why=message)
        self.unwritten = replace(began, value=1.0, reading_at=at, fired=1, fired_at=(at,))
        rule = self.book.all[NOT_WRITTEN]
        if self.notices is not None and rule.enabled:
            document = alert_document(self.unwritten, rule, (), at)
            self.notices.urgent.append({"event": "firing", "at": at, "alert": document})


def _known(field: str, value: str, words: Any) -> None:
    if value not in words:
        raise InvalidError(f"'{value[:40]}' is no {field}", hint=f"one of {', '.join(sorted(words))}", field=field)
