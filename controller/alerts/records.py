"""Alerts, silences and people's rules: rows in, objects out."""

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from broker.errors import InvalidError
from controller.alerts.rule import Rule
from controller.alerts.state import WAKEFUL, Alert, AlertState
from controller.storage.store import Row, Store

logger = logging.getLogger(__name__)

_SILENCED = (
    "EXISTS (SELECT 1 FROM alert_silences s WHERE s.until > ? AND (s.device_id IS NULL OR s.device_id = a.subject) "
    "AND (s.rule IS NULL OR s.rule = a.rule))"
)
VIEWS = {
    "open": f"a.open = 1 AND a.acknowledged = 0 AND NOT {_SILENCED}",
    "acknowledged": "a.open = 1 AND a.acknowledged = 1",
    "silenced": f"a.open = 1 AND {_SILENCED}",
    "pending": "a.standing = 'pending'",
    "no_data": "a.standing = 'no_data'",
    "resolved": "a.standing = 'resolved'",
    "all": "1 = 1",
}
"""What people look at, as SQL; a `?` is the time."""

COLUMNS = {"state": "standing"}
"""Where a word of people has another name in the table."""

_WORST_FIRST = "a.open DESC, CASE a.severity WHEN 'critical' THEN 0 ELSE 1 END, a.since DESC, a.rule, a.subject"


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """No notice of alerts of a device, of a rule, or of one on the other, until `until` (Unix s); they run on."""

    id: str
    at: float
    until: float
    who: str
    why: str = ""
    device_id: str | None = None
    rule: str | None = None

    def covers(self, alert: Alert) -> bool:
        """Return whether an alert is meant."""
        return self.device_id in (None, alert.subject) and self.rule in (None, alert.rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """How rules stand where that is not simply `ok`, which has no row."""

    store: Store

    def get(self, rule: str, subject: str) -> Alert | None:
        """Return how a rule stands on a subject."""
        rows = self.store.query("SELECT document FROM alerts WHERE rule = ? AND subject = ?", [rule, subject])
        return _alert(rows[0]) if rows else None

    def of(self, scope: str) -> dict[tuple[str, str], Alert]:
        """Return what there is on subjects of a scope, by (subject, rule)."""
        rows = self.store.query("SELECT document FROM alerts WHERE scope = ?", [scope])
        return {(alert.subject, alert.rule): alert for alert in map(_alert, rows)}

    def of_devices(self, device_ids: Collection[str]) -> dict[str, dict[str, Alert]]:
        """Return by device what there is on it, by rule."""
        found: dict[str, dict[str, Alert]] = {device_id: {} for device_id in device_ids}
        sql = f"SELECT document FROM alerts WHERE device_id IN ({', '.join('?' * len(device_ids))})"  # noqa: S608 - marks only
        for (document,) in self.store.connection.execute(sql, list(device_ids)):
            alert = msgspec.json.decode(document, type=Alert)
            found[alert.subject][alert.rule] = alert
        return found

    def wakeful(self) -> set[str]:
        """Return the devices on which some alert is on its way, open, or without data."""
        marks = ", ".join(f"'{state.value}'" for state in WAKEFUL)
        sql = f"SELECT DISTINCT subject FROM alerts WHERE scope = 'device' AND standing IN ({marks})"  # noqa: S608 - fixed words
        return {row["subject"] for row in self.store.query(sql)}

    def put(self, alerts: Iterable[Alert], rule_of: dict[str, Rule]) -> None:
        """Insert or replace alerts; one that is well again has no row."""
        given = list(alerts)
        self.remove(alert for alert in given if alert.state is AlertState.OK)
        self.store.connection.executemany(
            "INSERT INTO alerts "
            "(rule, subject, scope, device_id, severity, standing, open, acknowledged, since, document) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (rule, subject) DO UPDATE SET "
            "severity = excluded.severity, standing = excluded.standing, open = excluded.open, "
            "acknowledged = excluded.acknowledged, since = excluded.since, document = excluded.document",
            [_row(alert, rule_of[alert.rule]) for alert in given if alert.state is not AlertState.OK],
        )

    def put_figures(self, alerts: Iterable[Alert]) -> None:
        """Replace alerts that stand as before and whose reading is new: no index changes then."""
        sql = "UPDATE alerts SET document = ? WHERE rule = ? AND subject = ?"
        rows = [(msgspec.json.encode(alert).decode(), alert.rule, alert.subject) for alert in alerts]
        self.store.connection.executemany(sql, rows)

    def remove(self, alerts: Iterable[Alert]) -> None:
        """Forget alerts."""
        keys = [(alert.rule, alert.subject) for alert in alerts]
        self.store.connection.executemany("DELETE FROM alerts WHERE rule = ? AND subject = ?", keys)

    def of_rule(self, rule: str) -> list[Alert]:
        """Return what there is of a rule."""
        return [_alert(row) for row in self.store.query("SELECT document FROM alerts WHERE rule = ?", [rule])]

    def page(
        self, *, at: float, view: str = "all", limit: int = 100, offset: int = 0, **wanted: str
    ) -> tuple[int, list[Alert]]:
        """Return how many alerts match at time `at`, and one page of them, worst first."""
        terms, given = [VIEWS[view]], [at] * VIEWS[view].count("?")
        for name, value in wanted.items():
            if value:
                terms.append(f"a.{COLUMNS.get(name, name)} = ?")
                given.append(value)  # type: ignore[arg-type]  # SQL takes both
        where = " AND ".join(terms)
        (total,) = self.store.query(f"SELECT count(*) AS n FROM alerts a WHERE {where}", given)  # noqa: S608 - fixed names
        sql = f"SELECT a.document FROM alerts a WHERE {where} ORDER BY {_WORST_FIRST} LIMIT ? OFFSET ?"  # noqa: S608 - same
        return int(total["n"]), [_alert(row) for row in self.store.query(sql, [*given, limit, offset])]

    def counts(self, at: float) -> dict[str, int]:
        """Return how many alerts there are in each view, and of those open how many are of which severity."""
        found = {view: self._count(sql, at) for view, sql in VIEWS.items() if view != "all"}
        for severity in ("critical", "warning"):
            found[severity] = self._count(f"{VIEWS['open']} AND a.severity = '{severity}'", at)
        return found

    def open_by_severity(self) -> dict[str, int]:
        """Return how many alerts are open of each severity, whatever people said of them."""
        rows = self.store.query("SELECT severity, count(*) AS n FROM alerts WHERE open = 1 GROUP BY severity")
        return dict.fromkeys(("critical", "warning"), 0) | {row["severity"]: row["n"] for row in rows}

    def by_rule(self) -> dict[tuple[str, str], int]:
        """Return how many alerts each rule has in each state, by (rule, state)."""
        rows = self.store.query("SELECT rule, standing, count(*) AS n FROM alerts GROUP BY rule, standing")
        return {(row["rule"], row["standing"]): row["n"] for row in rows}

    def _count(self, where: str, at: float) -> int:
        sql = f"SELECT count(*) AS n FROM alerts a WHERE {where}"  # noqa: S608 - fixed text
        return int(self.store.query(sql, [at] * where.count("?"))[0]["n"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Silences:
    """What people do not want to hear of for a while."""

    store: Store

    def add(self, silence: Silence) -> None:
        """Keep a silence."""
        self.store.connection.execute(
            "INSERT INTO alert_silences (id, device_id, rule, at, until, who, why) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [silence.id, silence.device_id, silence.rule, silence.at, silence.until, silence.who, silence.why],
        )

    def active(self, at: float) -> list[Silence]:
        """Return those that hold at time `at`, the first to end first."""
        rows = self.store.query("SELECT * FROM alert_silences WHERE until > ? ORDER BY until, id", [at])
        return [Silence(**row) for row in rows]

    def get(self, silence_id: str) -> Silence | None:
        """Return one silence."""
        rows = self.store.query("SELECT * FROM alert_silences WHERE id = ?", [silence_id])
        return Silence(**rows[0]) if rows else None

    def remove(self, silence_id: str) -> None:
        """End a silence."""
        self.store.connection.execute("DELETE FROM alert_silences WHERE id = ?", [silence_id])

    def expired(self, at: float) -> list[Silence]:
        """Take out and return those that are over."""
        rows = self.store.query("SELECT * FROM alert_silences WHERE until <= ?", [at])
        self.store.connection.execute("DELETE FROM alert_silences WHERE until <= ?", [at])
        return [Silence(**row) for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRules:
    """Rules that people made, and those of ours that they changed."""

    store: Store

    def all(self) -> dict[str, Rule]:
        """Return them by name; one that makes no sense to this version is left where it is, and told of."""
        rows = self.store.query("SELECT name, document FROM alert_rules ORDER BY name")
        found = {}
        for row in rows:
            try:
                found[row["name"]] = msgspec.json.decode(row["document"], type=Rule)
            except (InvalidError, msgspec.ValidationError) as error:
                logger.warning("a stored rule is not understood: rule=%s reason=%s", row["name"], error)
        return found

    def put(self, rule: Rule, who: str, at: float) -> None:
        """Insert or replace a rule."""
        self.store.connection.execute(
            "INSERT INTO alert_rules (name, document, at, who) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (name) DO UPDATE SET document = excluded.document, at = excluded.at, who = excluded.who",
            [rule.name, msgspec.json.encode(rule).decode(), at, who],
        )

    def remove(self, name: str) -> None:
        """Forget what people said of a rule."""
        self.store.connection.execute("DELETE FROM alert_rules WHERE name = ?", [name])


def _alert(row: Row) -> Alert:
    return msgspec.json.decode(row["document"], type=Alert)


def _row(alert: Alert, rule: Rule) -> list[Any]:
    scope = rule.watched.scope
    return [
        alert.rule,
        alert.subject,
        scope,
        alert.subject if scope == "device" else None,
        rule.severity,
        alert.state.value,
        int(alert.open),
        int(alert.acknowledged is not None),
        alert.since,
        msgspec.json.encode(alert).decode(),
    ]
