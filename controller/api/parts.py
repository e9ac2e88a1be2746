"""What every router is handed: the controller's collaborators, and who is asking."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Header, Query
from starlette.requests import HTTPConnection

from controller.access.door import LOCAL, Door
from controller.access.roles import Principal
from controller.alerts.desk import AlertDesk
from controller.alerts.webhook import Webhook
from controller.api.fleet_counts import Counted, FleetCounts
from controller.archive import Archive
from controller.balena.account import Account
from controller.downloads import Downloads
from controller.enrolment.enrolling import Enrolling
from controller.enrolment.reloading import Reload
from controller.feedback.calibrating import Calibrating
from controller.fleet_list import FleetList
from controller.ingest import Ingest
from controller.keeping import Keeping
from controller.models.catalog import Catalogue
from controller.models.intake import Intake
from controller.predict.predictor import FleetPredictor
from controller.promoting import Promoting
from controller.rollouts.rolling import Rolling
from controller.service import Service
from controller.stream import Stream
from controller.workshop.orders import Orders
from controller.workshop.workshop import Workshop

ORIGINS = frozenset({"cli", "dashboard"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The collaborators of the REST side."""

    service: Service
    ingest: Ingest
    catalogue: Catalogue
    intake: Intake
    workshop: Workshop
    orders: Orders
    archive: Archive
    door: Door
    balena: Account
    webhook: Webhook | None
    enrolling: Enrolling
    reload: Reload
    clock: Callable[[], float]
    started_at: float
    version: str
    broker_url: str
    data_dir: Path
    database: str
    downloads: Downloads = field(default_factory=Downloads)
    counts: FleetCounts = field(default_factory=FleetCounts)

    @property
    def counted(self) -> Counted:
        """The devices by health, in a large fleet some seconds old; for people and figures, not to decide by."""
        return self.counts.look(FleetList(store=self.service.store), self.clock())

    @property
    def predictor(self) -> FleetPredictor:
        """Who answers for a type of device now."""
        return self.service.judge.predictor

    @property
    def stream(self) -> Stream:
        """The audited stream, to read."""
        return Stream(self.service.store)

    @property
    def keeping(self) -> Keeping:
        """What keeps the artifact store within its quota."""
        return self.ingest.passing.keeping

    @property
    def promoting(self) -> Promoting:
        """What lets a person say which version a model's name means."""
        service = self.service
        return Promoting(store=service.store, artifacts=service.artifacts, rollouts=self.rolling.rollouts)

    @property
    def rolling(self) -> Rolling:
        """What makes rollouts and carries them on."""
        return self.ingest.passing.rolling

    @property
    def alerts(self) -> AlertDesk:
        """What people do with alerts."""
        return self.ingest.alerts

    @property
    def calibrating(self) -> Calibrating:
        """What calibrates devices."""
        return self.ingest.passing.calibrating


async def _parts(connection: HTTPConnection) -> Parts:
    return connection.app.state.parts  # type: ignore[no-any-return]


async def _principal(connection: HTTPConnection) -> Principal | None:
    return getattr(connection.state, "principal", LOCAL)


async def _origin(connection: HTTPConnection, x_edgewatt_origin: Annotated[str, Header()] = "rest") -> str:
    """Return who asks by name, or, while nobody signs in, from where."""
    principal = await _principal(connection)
    if principal is not None and principal.name:
        return principal.name
    return x_edgewatt_origin if x_edgewatt_origin in ORIGINS else "rest"


Given = Annotated[Parts, Depends(_parts)]
Origin = Annotated[str, Depends(_origin)]
Asking = Annotated[Principal | None, Depends(_principal)]
"""Who asks; None on a websocket that has yet to say it."""

Limit = Annotated[int, Query(ge=1, le=1_000)]
Offset = Annotated[int, Query(ge=0, le=2**31)]
"""The page of a list: how many, and how many to leave out before it."""
