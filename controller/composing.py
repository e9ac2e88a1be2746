"""Puts together the collaborators of a controller that have settings of their own."""

from collections.abc import Sequence

from controller.asking import SILENCES
from controller.models.store import ArtifactStore
from controller.outbox import Outbox
from controller.pruning import KINDS, Pruning
from controller.records import Deployments
from controller.rollouts.drafting import Drafting
from controller.rollouts.records import Participants, Rollouts
from controller.rollouts.rolling import Rolling
from controller.service import Service
from controller.settings import Settings
from controller.storage.store import Store
from controller.telemetry.retention import Retention
from controller.workshop.process import Limits
from controller.workshop.records import Jobs
from controller.workshop.workshop import Workshop


def records_in(settings: Settings, store: Store) -> tuple[Deployments, Outbox]:
    """Return where deployments are kept, and what waits to be sent: both know when a device is silent for long."""
    outbox = Outbox(store, first_retry_s=settings.redelivery_s)
    return Deployments(store, silence_s=SILENCES * outbox.first_retry_s), outbox


def rolling_in(settings: Settings, store: Store, service: Service) -> Rolling:
    """Return what makes rollouts and carries them on."""
    return Rolling(
        service=service,
        drafting=Drafting(store=store, judge=service.judge),
        rollouts=Rollouts(store),
        participants=Participants(store=store),
        news=service.lifecycle.news,
        downloads=settings.max_downloads,
    )


def retention_in(settings: Settings, store: Store) -> Retention:
    """Return what lets telemetry go, and has it summed up before."""
    return Retention(
        store=store,
        keep_days=settings.keep_telemetry_days,
        hours_days=settings.keep_hours_days,
        max_mb=settings.max_database_mb,
    )


def pruning_in(settings: Settings, store: Store) -> Pruning:
    """Return what lets records of what has ended go."""
    days = {kind.table: getattr(settings, f"keep_{kind.table}_days") for kind in KINDS}
    return Pruning(store=store, days=days, most=settings.max_records)


def workshop_in(settings: Settings, store: Store, artifacts: ArtifactStore, worker: Sequence[str]) -> Workshop:
    """Return what makes models, with `worker` as its process."""
    return Workshop(
        store=store,
        jobs=Jobs(store),
        artifacts=artifacts,
        folder=settings.data.resolve() / "workshop",
        limits=Limits(timeout_s=settings.conversion_timeout_s, memory_mb=settings.conversion_memory_mb),
        worker=worker,
    )
