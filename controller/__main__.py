"""Starts the controller: `python -m controller`."""

import sys

from broker.interrupt import run

if __name__ == "__main__":
    sys.exit(run("controller.program:main"))
