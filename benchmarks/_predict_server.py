"""A controller without a fleet, for the benchmark of predictions: `FOLDER PORT`."""

import sys
from pathlib import Path

import uvicorn

from broker.memory import MemoryHub
from controller.api.app import create
from controller.api.zero_copy import zero_copy
from controller.program import compose
from controller.serving import configured
from controller.settings import Settings
from controller.storage.store import Store

if __name__ == "__main__":
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    settings = Settings(data=folder / "data", port=port)
    parts = compose(settings, Store(folder / "controller.db"), MemoryHub().link("bench"), "e1")
    config = configured(zero_copy(create(parts)), settings)
    config.port = port
    uvicorn.Server(config).run()
