"""Puts the REST application together."""

from typing import Any

from fastapi import FastAPI

from controller.answers import Answers
from controller.api import (
    access,
    advice,
    alerts,
    artifacts,
    balena,
    calibration,
    deployments,
    devices,
    energy,
    enrolment,
    errors,
    exports,
    jobs,
    ledger,
    live,
    logs,
    metrics,
    models,
    rollouts,
    saved_views,
    system,
    uploads,
    versions,
)
from controller.api.described import with_examples, with_roles
from controller.api.exact import Exact
from controller.api.examples import with_answers
from controller.api.files import Files
from controller.api.guard import Guard
from controller.api.once import Once
from controller.api.parts import Parts

DESCRIPTION = (
    "Know what a model will cost a device before you ship it. Energy is mJ per inference. A write that comes with an "
    "Idempotency-Key is done once within a day, however often it is asked for. Live telemetry is a "
    "websocket: /ws/telemetry, with device_id=… for each device wanted."
)

DOCUMENTED = (
    artifacts,  # first: routes are tried in order, and a whole fleet may fetch at once
    system,
    access,
    devices,
    enrolment,
    deployments,
    rollouts,
    alerts,
    energy,
    models,
    versions,
    uploads,
    jobs,
    advice,
    ledger,
    calibration,
    logs,
    exports,
    saved_views,
    balena,
    metrics,
    live,
)
"""The modules whose `router` is part of REST."""


class Application(FastAPI):
    """REST, whose description has examples."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        if not self.openapi_schema:
            self.openapi_schema = with_roles(with_answers(with_examples(super().openapi())))
        return self.openapi_schema


def create(parts: Parts) -> Application:
    """Return the application over `parts`."""
    app = described(parts.version)
    app.state.parts = parts
    app.add_middleware(Exact)
    app.add_middleware(Once, answers=Answers(parts.service.store), clock=parts.clock)
    app.add_middleware(Files, store=parts.service.artifacts, downloads=parts.downloads)
    app.add_middleware(Guard, door=parts.door, clock=parts.clock)
    return app


def described(version: str) -> Application:
    """Return the application without anything behind it, to be read."""
    routes = [route for module in DOCUMENTED for route in module.router.routes]  # `include_router` builds them again
    app = Application(title="EdgeWatt", version=version, description=DESCRIPTION, routes=routes)
    errors.install(app)
    return app
