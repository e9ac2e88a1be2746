"""Starts the real controller with the fake worker that does what the first argument says, and one listed network."""

import sys
from functools import partial
from pathlib import Path

from controller import program
from tests.listing import listed_network

FAKE_WORKER = str(Path(__file__).resolve().parent.parent / "fake_worker.py")
MODEL = "tinynet"


if __name__ == "__main__":
    does = sys.argv.pop(1)
    program.compose = partial(
        program.compose, worker=(FAKE_WORKER, does), listed={MODEL: listed_network(MODEL, gmacs=0.02, dw_gmacs=0.001)}
    )
    sys.exit(program.main())
