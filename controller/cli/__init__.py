"""The `edgewatt` command line; everything heavy is imported on use."""

import sys

from broker.interrupt import run


def main() -> None:
    """Run the command line with the process's arguments and exit with its code."""
    sys.exit(run("controller.cli.app:run"))
