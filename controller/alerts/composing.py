"""Puts the parts of alerts together over one store."""

from collections.abc import Mapping
from pathlib import Path

from broker.link import Link
from controller.alerts.desk import AlertDesk
from controller.alerts.evaluating import Evaluating
from controller.alerts.facts import FactFinder, OwnFacts
from controller.alerts.notices import Notices
from controller.alerts.records import Alerts, Silences, StoredRules
from controller.alerts.rulebook import RuleBook
from controller.alerts.telling import Telling
from controller.rollouts.records import Rollouts
from controller.storage.store import Store


def compose_alerts(
    store: Store, link: Link, folder: Path, skews: Mapping[str, float], *, max_mb: float, notices: bool
) -> AlertDesk:
    """Return the way to alerts.

    `skews` is how far clocks are off, kept by who hears, `max_mb` what the database may hold; with `notices` somebody
    outside is told.
    """
    return AlertDesk(
        evaluating=Evaluating(
            store=store,
            book=RuleBook(stored=StoredRules(store=store)),
            alerts=Alerts(store=store),
            silences=Silences(store=store),
            finder=FactFinder(store=store, link=link, rollout_records=Rollouts(store), skews=skews),
            telling=Telling(store=store, notices=Notices(store=store) if notices else None),
        ),
        own=OwnFacts(store=store, link=link, folder=folder, max_mb=max_mb),
    )
