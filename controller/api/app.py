"""Puts the REST application together."""

from fastapi import FastAPI

from controller.answers import Answers
from controller.api import (
    advice,
    artifacts,
    calibration,
    deployments,
    devices,
    energy,
    errors,
    jobs,
    ledger,
    live,
    logs,
    metrics,
    models,
    rollouts,
    system,
    uploads,
)
from controller.api.exact import Exact
from controller.api.once import Once
from controller.api.parts import Parts

DESCRIPTION = (
    "Know what a model will cost a device before you ship it. Energy is mJ per inference. A write that comes with an "
    "Idempotency-Key is done once within a day, however often it is asked for."
)


def create(parts: Parts) -> FastAPI:
    """Return the application over `parts`."""
    app = FastAPI(title="EdgeWatt", version=parts.version, description=DESCRIPTION)
    app.state.parts = parts
    errors.install(app)
    app.add_middleware(Exact)
    app.add_middleware(Once, answers=Answers(parts.service.store), clock=parts.clock)
    documented = (
        artifacts,  # first: routes are tried in order, and a whole fleet may fetch at once
        system,
        devices,
        deployments,
        rollouts,
        energy,
        models,
        uploads,
        jobs,
        advice,
        ledger,
        calibration,
        logs,
        metrics,
        live,
    )
    for module in documented:
        app.include_router(module.router)
    return app
