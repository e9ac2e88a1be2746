"""Starts the real controller with a short patience: late after 2 s, gone 7 s after the broker said so."""

import sys

from controller import fleet, program

if __name__ == "__main__":
    fleet.LIVE_S, fleet.LATE_S, fleet.GRACE_S = 2.0, 60.0, 7.0
    sys.exit(program.main())
