"""Holds the rules against the fleet: devices with news at once, all of them in slices, within a budget of time."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from msgspec.structs import replace

from broker.errors import WireError
from broker.link import Packet
from broker.topics import LOG, parse
from controller.alerts.facts import FactFinder
from controller.alerts.quantities import Facts, Reading, Scope
from controller.alerts.records import Alerts, Silence, Silences
from controller.alerts.rule import Rule
from controller.alerts.rulebook import RuleBook
from controller.alerts.sampled import Heard, beyond, said_by
from controller.alerts.state import Alert, Event, NoNews, Read, goes_on, step
from controller.alerts.telling import Telling
from controller.sleep import absence, asleep_until
from controller.storage.store import Store

BUDGET_S = 0.05
"""How long one look may hold up the loop; what is left over comes first in the next second."""

SLICE = 50
BESIDE = 10
"""So many of a slice are of the sweep, however many devices have news."""

SWEEP_S = (5.0, 60.0)
"""How long a look at every device takes at least and at most; of a fleet of some thousands, a minute."""

SWEPT_PER_S = 200
KEPT_EVERY_S = 10.0
"""An alert whose figure alone is new is written so often."""

NO_NEWS = "its readings stopped"


@dataclass(slots=True, kw_only=True)
class Evaluating:
    """Looks at devices, rollouts and the controller itself; call `tick` inside a transaction."""

    store: Store
    book: RuleBook
    alerts: Alerts
    silences: Silences
    finder: FactFinder
    telling: Telling
    elapsed: Callable[[], float] = time.monotonic
    evaluated: int = 0
    behind: int = 0
    took_s: float = 0.0
    _due: dict[str, Heard | None] = field(default_factory=dict)
    _sweep: deque[str] = field(default_factory=deque)
    _swept_at: float = 0.0
    _per_tick: int = SLICE
    _left: int = 0
    _wakeful: set[str] | None = None
    _silences: list[Silence] = field(default_factory=list)

    def heard(self, newest: Mapping[str, Heard], words: Iterable[Packet]) -> None:
        """Note whom to look at: devices with a live sample beyond a threshold, and those that said something else."""
        awake = self._awake()
        others = {device_id: told[0] for device_id, told in newest.items() if device_id not in awake}
        due = beyond(self.book.glance.told, others) | (newest.keys() & awake)
        for device_id, told in newest.items() if due else ():
            if device_id in due and self._due.get(device_id, told) is not None:
                self._due[device_id] = told
        for packet in words:
            try:
                device_id, route = parse(packet.topic)
            except WireError:
                continue
            if route is not LOG:
                self._due[device_id] = None

    def tick(self, at: float, own: Mapping[str, Reading]) -> None:
        """Look at the controller (`own` readings), at rollouts, and at devices until the budget is used up."""
        began = self.elapsed()
        self.finder.look(at)
        self._silences = self.silences.active(at)
        for silence in self.silences.expired(at):
            self.telling.silence_over(silence, at)
        self._look_at("controller", {"controller": own}, at)
        self._look_at("rollout", self.finder.rollouts(at) if self.book.enabled("rollout") else {}, at)
        self._plan_sweep(at)
        self._left = self._per_tick
        while any(taken := self._take()):
            due, swept = taken
            well = self.finder.well(swept, at, self.book.glance) if swept else set()
            self.evaluated += len(well)
            if due := due | dict.fromkeys(name for name in swept if name not in well):
                self._look_at_devices(due, at)
            if self.elapsed() - began >= BUDGET_S:
                break
        self.behind, self.took_s = len(self._due), self.elapsed() - began

    def forget(self) -> None:
        """Trust nothing that was kept in memory: the transaction around it was undone."""
        self._wakeful = None

    def _awake(self) -> set[str]:
        if self._wakeful is None:
            self._wakeful = self.alerts.wakeful()
        return self._wakeful

    def _plan_sweep(self, at: float) -> None:
        if self._sweep or abs(at - self._swept_at) < SWEEP_S[0]:
            return
        self._swept_at = at
        self._sweep.extend(name for (name,) in self.store.connection.execute("SELECT id FROM devices ORDER BY id"))
        takes_s = min(SWEEP_S[1], max(1.0, len(self._sweep) / SWEPT_PER_S))
        self._per_tick = max(SLICE, -(-len(self._sweep) // int(takes_s)))

    def _take(self) -> tuple[dict[str, Heard | None], list[str]]:
        """Take out a slice of devices: those with news, with the sample where that is all, and some of the sweep."""
        most = SLICE - BESIDE if self._sweep and self._left else SLICE
        due, swept = {name: self._due.pop(name) for name in list(islice(self._due, most))}, list[str]()
        while len(due) + len(swept) < SLICE and self._sweep and self._left:
            name = self._sweep.popleft()
            if name in due or name in self._due or name in self._awake():
                self._due.pop(name, None)
                due[name] = None
            else:
                swept.append(name)
            self._left -= 1
        return due, swept

    def _look_at_devices(self, due: Mapping[str, Heard | None], at: float) -> None:
        """Look at devices: at what a sample says where that does, else at all that is known."""
        known, rules = self.alerts.of_devices(due), self.book.told
        after: list[Alert] = []
        fully: list[str] = []
        for name, heard in due.items():
            said = said_by(heard, rules, known[name], at) if heard is not None and self.store.has_device(name) else None
            if said is None:
                fully.append(name)
                continue
            for rule, reading in said:
                found = self._judge(rule, name, reading, known[name].get(rule.name), at)
                after += [found] if found is not None else []
        after += self._look_fully(fully, known, at) if fully else []
        self.evaluated += len(due)
        self._keep(known, after)
        for name in {alert.subject for alert in after}.union(fully):
            (self._awake().add if any(alert.wakeful for alert in known[name].values()) else self._awake().discard)(name)

    def _look_fully(self, names: list[str], known: dict[str, dict[str, Alert]], at: float) -> list[Alert]:
        """Look at all that is known of devices; return what is new, and take out of `known` what no rule means."""
        rules, after = self.book.enabled("device"), []
        left = {name: known[name] for name in names}
        known |= {name: {} for name in names}
        for facts in self.finder.devices(names, at, rules):
            name, info = facts.device["id"], facts.device["info"] or {}
            for rule in rules:
                if not rule.watches(name, info):
                    continue
                before = left[name].pop(rule.name, None)
                if before is not None:
                    known[name][rule.name] = before
                found = self._judge(rule, name, rule.read(facts), before, facts)
                after += [found] if found is not None else []
        self._let_go((alert for alerts in left.values() for alert in alerts.values()), at)
        return after

    def _look_at(self, scope: Scope, subjects: Mapping[str, Mapping[str, Reading]], at: float) -> None:
        """Look at what is not a device: each subject with its readings by quantity."""
        before, after = self.alerts.of(scope), []
        for subject, readings in subjects.items():
            for rule in self.book.enabled(scope):
                known = before.pop((subject, rule.name), None)
                found = self._judge(rule, subject, readings.get(rule.quantity), known, at)
                after += [found] if found is not None else []
        self._let_go(before.values(), at)
        self.alerts.put(after, self.book.all)

    def _judge(
        self, rule: Rule, subject: str, reading: Reading | None, known: Alert | None, facts: Facts | float
    ) -> Alert | None:
        """Return how `rule` stands on a subject now, None where nothing has to be kept."""
        at = facts if isinstance(facts, float) else facts.now
        if known is None and reading is None:
            return None
        if reading is not None and at - reading.at <= rule.no_data_after_s:  # nearly always all is as well, or as wrong
            if known is None and not rule.breached(reading.value):
                return None
            if known is not None and goes_on(known, reading, rule, at):
                return _newer(known, reading)
        event = _event(rule, reading, known, facts)
        if event is None or (known is None and isinstance(event, Read) and not rule.breached(event.reading.value)):
            return None
        before = known or _unknown(rule, subject, reading if isinstance(event, NoNews) else None, at)
        silenced = any(silence.covers(before) for silence in self._silences)
        after, effects = step(before, event, rule, at, silenced=silenced)
        for effect in effects:
            self.telling.tell(after, rule, effect, self._silences, at)
        return after if known is None or _is_news(known, after) else None

    def _let_go(self, alerts: Iterable[Alert], at: float) -> None:
        """Forget what no rule speaks of any more: it was switched off, or no longer means this subject."""
        gone = list(alerts)
        for alert in gone:
            if alert.open or alert.told:
                self.telling.let_go(alert, at)
        self.alerts.remove(gone)

    def _keep(self, known: dict[str, dict[str, Alert]], after: list[Alert]) -> None:
        """Write how rules stand on devices now, also into what was `known`."""
        figures: list[Alert] = []
        others: list[Alert] = []
        for alert in after:
            before = known[alert.subject].get(alert.rule)
            known[alert.subject][alert.rule] = alert
            (figures if before is not None and alert.stands_as(before) else others).append(alert)
        if figures:
            self.alerts.put_figures(figures)
        if others:
            self.alerts.put(others, self.book.all)


def _unknown(rule: Rule, subject: str, old: Reading | None, at: float) -> Alert:
    """Return how a rule stands of which nothing is kept: it was well, at its `old` reading if there is one."""
    well = Alert(rule=rule.name, subject=subject, since=at)
    return replace(well, value=old.value, kind=old.kind, reading_at=old.at) if old is not None else well


def _newer(known: Alert, reading: Reading) -> Alert | None:
    """Return an alert that goes on with its new figure, None where that need not be kept."""
    return replace(known, value=reading.value, reading_at=reading.at) if _is_due(known, reading.at) else None


def _is_due(alert: Alert, reading_at: float | None) -> bool:
    """Return whether an alert that goes on is open, and its figure some seconds older than a reading (Unix s)."""
    return alert.open and (reading_at or 0.0) - (alert.reading_at or 0.0) >= KEPT_EVERY_S


def _event(rule: Rule, reading: Reading | None, known: Alert | None, facts: Facts | float) -> Event | None:
    """Return what a look means; None where a subject never told this quantity, or a gap is too short to matter."""
    at = facts if isinstance(facts, float) else facts.now
    if reading is not None and at - reading.at <= rule.no_data_after_s:
        return Read(reading=reading)
    device = None if isinstance(facts, float) else facts.device
    limit_s = max(rule.no_data_after_s, 3 * _interval_s(device))
    if reading is not None and at - reading.at <= limit_s:
        return Read(reading=reading)
    heard_at = reading.at if reading is not None else known.reading_at if known is not None else None
    if heard_at is None or at - heard_at <= limit_s:
        return None
    return NoNews(why=_absence(device, at))


def _absence(device: Mapping[str, Any] | None, at: float) -> str:
    if device is None or device["online"] != 0:
        return NO_NEWS
    return f"it {absence(device, at)}" if asleep_until(device, at) is not None else "it is offline"


def _interval_s(device: Mapping[str, Any] | None) -> float:
    return float(((device or {}).get("status") or {}).get("interval_s") or 0.0)


def _is_news(before: Alert, after: Alert) -> bool:
    """Return whether more changed than the figure, or the figure of an open alert is some seconds older."""
    if replace(after, value=before.value, reading_at=before.reading_at) != before:
        return True
    return _is_due(before, after.reading_at)
