"""Tells the audited stream of the controller's own lives: when one began, with which settings, and when it ended."""

from dataclasses import asdict
from typing import Any

from controller.alerts.webhook import place
from controller.ingest import Ingest
from controller.settings import Settings
from controller.storage.store import Store

REMEMBERED = "settings"


def begin(store: Store, settings: Settings, version: str, at: float) -> None:
    """Say that a controller begins, and what is set otherwise than in the life before."""
    now = _facts(settings, version)
    before: dict[str, Any] = store.remembered(REMEMBERED) or now
    changed = [f"{name} {before.get(name)} → {value}" for name, value in now.items() if before.get(name) != value]
    text = f"the controller began, version {version}" + (f"; changed: {', '.join(changed)}" if changed else "")
    with store.transaction():
        if store.upgraded is not None:
            store.add_event(at, "controller", store.upgraded.sentence, facts={"steps": list(store.upgraded.steps)})
        store.add_event(at, "controller", text, facts={"settings": now, "changed": changed})
        store.remember(REMEMBERED, now)


def end(store: Store, at: float) -> None:
    """Say that it ends on purpose; a life without this was cut off."""
    with store.transaction():
        store.add_event(at, "controller", "the controller ended")


def in_words(ingest: Ingest) -> str:
    """Return in one line how this life goes."""
    broker = "connected" if ingest.link.connected else f"not connected: {ingest.last_loss or 'not yet'}"
    return f"{ingest.service.store.count_devices()} devices, broker {broker}"


def _facts(settings: Settings, version: str) -> dict[str, Any]:
    """Return the settings as text; of a signing key its public half, of a password and a receiver only where it is."""
    signer = settings.signer
    plain = {name: str(value) for name, value in asdict(settings).items()}
    plain["alert_webhook_url"] = place(settings.alert_webhook_url) if settings.alert_webhook_url else ""
    return {"version": version, **plain, "signing_key": signer.public_key if signer else ""}
