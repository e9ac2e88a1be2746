"""Alerts as documents: what the fake controller says is open, as the real one would tell it."""

import time

from controller.alerts.builtin import BUILT_IN
from controller.alerts.documents import alert_document, quantity_documents, rule_document
from controller.alerts.records import VIEWS
from controller.alerts.state import Alert, AlertState


def alert(rule, subject, value, **changes):
    """One that fired three minutes ago, as REST tells it."""
    now = time.time()
    found = {"rule": rule, "subject": subject, "since": now - 180, "state": AlertState.FIRING, "value": value}
    found |= {"reading_at": now - 3, "fired": 1, "fired_at": (now - 180,)} | changes
    return alert_document(Alert(**found), BUILT_IN[rule], [], now)


def counts(fake):
    """How many there are in each view; nobody has seen or silenced any."""
    critical = sum(each["severity"] == "critical" for each in fake.alerts)
    warning = len(fake.alerts) - critical
    return dict.fromkeys(VIEWS, 0) | {"open": len(fake.alerts), "critical": critical, "warning": warning}


def alerts(fake, *, device_id="", view="open", limit="100", **_):
    found = [each for each in fake.alerts if device_id in {"", each["subject"]} and view in {"open", "all"}]
    return 200, {"total": len(found), "counts": counts(fake), "alerts": found[: int(limit)]}


def rules(_fake, **_):
    found = [rule_document(rule, built_in=True, changed=False, counts={}) for rule in BUILT_IN.values()]
    return 200, {"rules": found, "quantities": quantity_documents()}


ROUTES = [
    ("GET", r"/api/alerts", alerts),
    ("GET", r"/api/alerts/rules", rules),
    ("GET", r"/api/alerts/silences", lambda *_, **__: (200, {"silences": []})),
]
