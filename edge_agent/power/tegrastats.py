"""Reads a Jetson's INA3221 through NVIDIA's tegrastats, where its sysfs is closed to us.

The sensor is the same, so the source on the wire is `ina3221`; the rail says how it was read. One process runs as long
as the meter is in use: starting one for each reading would cost more than what is measured.
"""

import atexit
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from threading import Event, Thread

from broker.messages import PowerSensor
from broker.tied import dies_with_us
from edge_agent.power.ina3221 import STEP_MW
from edge_agent.power.meter import PowerMeter
from edge_agent.power.rails import board_rail

RATE_HZ = 10.0
COMMAND = "tegrastats"
FIRST_LINE_WITHIN_S = 3.0

STALE_S = 2.0
"""A line older than this is no reading of now: the process hangs or has ended."""

_RAIL = re.compile(r"(?<!\S)([A-Z][A-Z0-9_]*) (\d+)(?:mW)?/(\d+)(?:mW)?(?!\S)")


def rails_mw(line: str) -> dict[str, float]:
    """Return the momentary power of each rail in mW in a line of tegrastats.

    JetPack 4 writes `POM_5V_IN 2132/2170`, JetPack 5 and 6 `VDD_IN 4761mW/4778mW`: now and its average.
    """
    return {name: float(now) for name, now, _ in _RAIL.findall(line) if name != "NC"}


def board_mw(line: str) -> float | None:
    """Return the whole board's power in mW; None when the line has no such rail, or its labels cannot be trusted."""
    rails = rails_mw(line)
    rail = board_rail(rails)
    return None if rail is None else rails[rail]


class Tegrastats:
    """A running tegrastats and its newest line."""

    def __init__(self, command: str, *, now: Callable[[], float] = time.monotonic) -> None:
        """Start `command`; raises OSError when it cannot be."""
        self._now = now
        self._line: tuple[float, str] | None = None
        self._first = Event()
        self._process = subprocess.Popen(  # noqa: S603 - found on the path
            [command, "--interval", str(round(1_000 / RATE_HZ))],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            preexec_fn=dies_with_us(),  # noqa: PLW1509 - it makes two system calls and takes no lock
        )
        atexit.register(self.close)
        Thread(target=self._follow, name=COMMAND, daemon=True).start()

    @property
    def line(self) -> str | None:
        """The newest line; None when none came for a while."""
        self._first.wait(FIRST_LINE_WITHIN_S)
        if self._line is None or self._now() - self._line[0] > STALE_S:
            return None
        return self._line[1]

    def read_mw(self) -> float | None:
        """Return the board's power in mW now."""
        line = self.line
        return None if line is None else board_mw(line)

    def close(self) -> None:
        """End the process."""
        atexit.unregister(self.close)
        self._process.kill()
        self._process.wait()

    def _follow(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._line = (self._now(), line)
                self._first.set()
        self._first.set()


def find() -> PowerMeter | None:
    """Return a meter where tegrastats runs and its labels can be trusted."""
    command = shutil.which(COMMAND)
    if command is None:
        return None
    try:
        running = Tegrastats(command)
    except OSError:
        return None
    line = running.line
    rail = None if line is None else board_rail(rails_mw(line))
    if rail is None:
        running.close()
        return None
    sensor = PowerSensor(source="ina3221", rail=f"{rail} by tegrastats", rate_hz=RATE_HZ)
    return PowerMeter(sensor=sensor, read_mw=running.read_mw, step_mw=STEP_MW)
