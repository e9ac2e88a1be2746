"""Runs the controller: REST, artifact server and the fleet's bus in one process."""

import asyncio
import logging
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from urllib.parse import urlsplit

from broker.commands import Probe
from broker.errors import EdgeWattError, StorageError
from broker.hosts import hosts
from broker.link import Link, Will
from broker.messages import ControllerStatus
from broker.systemd import Systemd
from broker.topics import CONTROLLER_STATUS
from broker.wire import encode
from controller import lives
from controller.access.doorway import doorway
from controller.alerts.composing import compose_alerts
from controller.alerts.desk import AlertDesk
from controller.alerts.webhook import Webhook
from controller.api.app import create
from controller.api.parts import Parts
from controller.api.zero_copy import zero_copy
from controller.archive import Archive
from controller.asking import Asking
from controller.balena.account import account
from controller.balena.token import Token, take
from controller.carrier import carried, check_workers
from controller.composing import pruning_in, records_in, retention_in, rolling_in, workshop_in
from controller.downloads import take_open_files
from controller.enrolment.enrolling import Enrolling
from controller.enrolment.reloading import Reload
from controller.feedback.book import Book
from controller.feedback.bookkeeping import Bookkeeping
from controller.feedback.calibrating import Calibrating
from controller.feedback.corrections import Calibrations, Corrections
from controller.feedback.learning import Learning
from controller.feedback.subjects import Subjects
from controller.feedback.succession import Succession
from controller.flags import flags
from controller.hearing import Hearing
from controller.ingest import Ingest
from controller.inuse import working_in
from controller.judge import Judge
from controller.keeping import Keeping
from controller.late_retained import AGAIN_AFTER_S, LateRetained
from controller.lifecycle import Lifecycle
from controller.models import untrained
from controller.models.catalog import Catalogue
from controller.models.intake import Intake
from controller.models.listed import Listed
from controller.models.listed import load as load_listed
from controller.models.store import ArtifactStore
from controller.passing import Passing
from controller.predict.answering import Answering
from controller.predict.versions import FOLDER as PREDICTORS
from controller.predict.versions import Versions
from controller.records import Commands, Measurements
from controller.resolving import Resolving
from controller.rollouts.records import News
from controller.service import Service
from controller.serving import check_exposure, listening, served
from controller.settings import Settings, load
from controller.standby import Turn, announce
from controller.storage.database import Connection
from controller.storage.store import Store
from controller.working import Work
from controller.workshop.orders import Orders
from controller.workshop.process import WORKER

logger = logging.getLogger("controller")

CLIENT_ID = "edgewatt-controller"


def compose(
    settings: Settings,
    store: Store,
    link: Link,
    epoch: str,
    *,
    worker: Sequence[str] = WORKER,
    listed: Mapping[str, Listed] | None = None,
    clock: Callable[[], float] = time.time,
    balena_token: Token | None = None,
) -> Parts:
    """Return the controller's collaborators, wired; nothing runs yet.

    `worker` is what this interpreter runs to make a model, `listed` the networks that it can make,
    data/models.csv by default.
    """
    door = doorway(settings, store, clock())
    artifacts = ArtifactStore(settings.data / "artifacts", signer=settings.signer)
    networks = load_listed() if listed is None else listed
    catalogue = Catalogue(artifacts, listed=networks)
    catalogue.make(untrained.NAME)
    answering = Answering(Versions(folder=settings.data / PREDICTORS))
    measurements, corrections = Measurements(store), Corrections(store)
    deployments, outbox = records_in(settings, store)
    bookkeeping = Bookkeeping(store=store, book=Book(store))
    workshop = workshop_in(settings, store, artifacts, worker)
    orders = Orders(artifacts=artifacts, jobs=workshop.jobs, listed=networks)
    judge = Judge(
        catalogue=catalogue,
        answering=answering,
        measurements=measurements,
        corrections=corrections,
        device_types=store.device_types,
        device=store.device,
        buildable=orders.buildable,
        artifact_host=urlsplit(settings.base_url).hostname or "",
        signs=artifacts.signer is not None,
    )
    lifecycle = Lifecycle(
        store=store,
        bookkeeping=bookkeeping,
        deployments=deployments,
        measurements=measurements,
        outbox=outbox,
        news=News(store),
        probe=Probe(inferences=settings.probe_inferences),
        soak_s=settings.soak_s,
        urls=door.urls,
    )
    service = Service(
        store=store,
        deployments=deployments,
        commands=Commands(store),
        outbox=outbox,
        lifecycle=lifecycle,
        judge=judge,
        artifacts=artifacts,
        resolving=Resolving(
            lifecycle=lifecycle,
            judge=judge,
            workshop=workshop,
            orders=orders,
            artifacts=artifacts,
            urls=door.urls,
        ),
        artifact_base_url=settings.base_url,
        bookkeeping=bookkeeping,
        asking=Asking(lifecycle=lifecycle, outbox=outbox),
    )
    keeping = Keeping(
        store=store,
        deployments=deployments,
        artifacts=artifacts,
        catalogue=catalogue,
        quota_mb=settings.artifact_quota_mb,
    )
    artifacts.make_room = keeping.free
    hearing = Hearing(service=service, approve_new=settings.registration == "open")
    noticed, max_mb = bool(settings.alert_webhook_url), settings.max_database_mb
    alerts = compose_alerts(store, link, settings.data, hearing.samples.skews, max_mb=max_mb, notices=noticed)
    learning = Learning(service=service, corrections=corrections)
    calibrating = Calibrating(
        service=service,
        learning=learning,
        calibrations=Calibrations(store),
        subjects=Subjects(judge=judge, workshop=workshop, orders=orders),
    )
    return Parts(
        service=service,
        ingest=Ingest(
            link=link,
            hearing=hearing,
            passing=Passing(
                hearing=hearing,
                calibrating=calibrating,
                rolling=rolling_in(settings, store, service),
                succession=Succession(service=service, answering=answering),
                keeping=keeping,
                retention=retention_in(settings, store),
                pruning=pruning_in(settings, store),
                leaves_telemetry=settings.telemetry_workers,
            ),
            alerts=alerts,
            epoch=epoch,
            clock=clock,
            late_retained=LateRetained(after_s=AGAIN_AFTER_S if len(hosts(settings.broker).nodes) > 1 else ()),
        ),
        catalogue=catalogue,
        intake=Intake(
            catalogue=catalogue,
            folder=settings.data.resolve() / "uploads",
            max_bytes=settings.max_upload_mb * 1_000_000,
        ),
        workshop=workshop,
        orders=orders,
        archive=Archive(
            store=store,
            folder=settings.data.resolve() / "archives",
            event_days=settings.keep_events_days,
            archive_days=settings.keep_archives_days,
            clock=clock,
        ),
        door=door,
        balena=account(settings, store, clock, balena_token),
        webhook=_webhook(settings, alerts, clock),
        enrolling=Enrolling.of(settings, store),
        reload=Reload(settings.broker_reload),
        clock=clock,
        started_at=clock(),
        version=version("edgewatt"),
        broker_url=settings.broker,
        data_dir=settings.data.resolve(),
        database=settings.database,
    )


def _webhook(settings: Settings, alerts: AlertDesk, clock: Callable[[], float]) -> Webhook | None:
    if alerts.notices is None:
        return None
    return Webhook(url=settings.alert_webhook_url, notices=alerts.notices, clock=clock)


async def serve(settings: Settings) -> None:
    """Stand by, or act, until SIGTERM or SIGINT. Raises EdgeWattError when it cannot begin."""
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    balena_token = take(os.environ, settings.balena_token_file)  # once: it is gone from there then
    turn = Turn(settings)
    turn.open()
    with listening(settings.host, settings.port) as door:
        async with Systemd.of().attended(turn.beat, turn.in_words):
            while not stopping.is_set():
                connection = await turn.wait(door, stopping)
                if connection is not None:
                    await _act(turn, connection, door, stopping, balena_token)
            turn.close()


async def _act(
    turn: Turn, connection: Connection, door: socket.socket, stopping: asyncio.Event, balena_token: Token | None
) -> None:
    """Be the active controller until told to stop, or until the database is lost, and with it the right to act."""
    epoch, settings = secrets.token_hex(6), turn.settings
    will = Will(topic=CONTROLLER_STATUS, payload=encode(ControllerStatus(online=False, epoch=epoch, reason="lost")))
    await check_workers(settings, CLIENT_ID)
    link = carried(settings, CLIENT_ID, will)
    try:
        turn.pulse, turn.status = time.monotonic_ns, lambda: "opening the database"
        store = await asyncio.to_thread(Store, settings.place, connection)  # an upgrade may take minutes
        parts = compose(settings, store, link, epoch, balena_token=balena_token)
        check_exposure(settings, parts.door.tokens)
        with store.transaction():
            lives.begin(store, settings, parts.version, parts.clock())
            announce(store, settings.own_url, epoch, parts.clock())
        logger.info("active: epoch=%s url=%s", epoch, settings.own_url)
        turn.pulse, turn.status = lambda: parts.ingest.ticks, lambda: lives.in_words(parts.ingest)
        async with link:
            works = [parts.ingest.run(), parts.workshop.run(), parts.archive.run()]
            work = Work(*works, *([parts.webhook.run()] if parts.webhook else []))
            try:
                async with served(zero_copy(create(parts)), door, settings):
                    await work.over(stopping, connection)
                    if connection.lost:
                        await link.drop()
                if not connection.lost:
                    await parts.ingest.say_goodbye()
                    lives.end(store, parts.clock())
            finally:
                await work.end(forgiven=connection.lost)
    except StorageError as error:
        if not connection.lost:
            raise
        logger.error("the database is lost: %s", error.message)  # noqa: TRY400 - a sentence, not a trace
    finally:
        connection.close()


def main() -> int:
    """Parse the arguments and run; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings = load(vars(flags().parse_args()))
        take_open_files()
        with working_in(settings.data):
            asyncio.run(serve(settings))
    except EdgeWattError as error:
        print(f"{error.message}; {error.hint}" if error.hint else error.message, file=sys.stderr)  # noqa: T201 - for a person
        return 1
    return 0
