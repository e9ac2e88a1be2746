"""Starts the agent: `edgewatt-agent`, or `python -m edge_agent`."""

import sys

from broker.interrupt import run


def main() -> None:
    """Run the command line on a device and exit with its code."""
    sys.exit(run("edge_agent.program:main"))


if __name__ == "__main__":
    main()
