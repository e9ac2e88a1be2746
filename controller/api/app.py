"""Puts the REST application together."""

from fastapi import FastAPI

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
    logs,
    metrics,
    models,
    rollouts,
    system,
    uploads,
)
from controller.api.parts import Parts

DESCRIPTION = "Know what a model will cost a device before you ship it. Energy is mJ per inference."


def create(parts: Parts) -> FastAPI:
    """Return the application over `parts`."""
    app = FastAPI(title="EdgeWatt", version=parts.version, description=DESCRIPTION)
    app.state.parts = parts
    errors.install(app)
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
    )
    for module in documented:
        app.include_router(module.router)
    return app
