"""Watches a device at rest before a benchmark: what it draws, and whether it really rests."""

import os
import time
from dataclasses import dataclass
from threading import Event

import psutil

from edge_agent.power.trace import Trace
from edge_agent.work import StoppedError

BUSY_CORES = 0.15
"""Other work on more of a processor than this is worth a note: it shows in latency and in energy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """A device at rest from `started_at` to `ended_at` (Unix seconds): its power in mW, and how many cores worked."""

    started_at: float
    ended_at: float
    power_mw: float | None = None
    busy_cores: float = 0.0

    @property
    def note(self) -> str | None:
        """What kept the device from resting, in words."""
        if self.busy_cores <= BUSY_CORES:
            return None
        return f"not at rest before: other work kept {self.busy_cores:.1f} of {os.cpu_count()} cores busy"


def watch(seconds: float, trace: Trace | None, stop: Event) -> Rest:
    """Let the device rest for `seconds` while `trace` is filled; raises StoppedError."""
    work, started_at = OtherWork(), time.time()
    if trace is not None:
        trace.edge()
    began = time.monotonic()
    if stop.wait(seconds):
        raise StoppedError
    ended = time.monotonic()
    if trace is not None:
        trace.edge()
    drawn = None if trace is None else trace.between(began, ended)
    return Rest(
        started_at=started_at,
        ended_at=time.time(),
        power_mw=drawn.power_mw if drawn else None,
        busy_cores=work.cores(),
    )


class OtherWork:
    """How many cores something else than this process kept busy since this was made."""

    def __init__(self) -> None:
        """Begin to watch."""
        self._began, self._ours_s, self._busy_s = time.monotonic(), time.process_time(), _busy_s()

    def cores(self) -> float:
        """Return the mean number of cores until now."""
        elapsed_s = time.monotonic() - self._began
        others_s = _busy_s() - self._busy_s - (time.process_time() - self._ours_s)
        return max(others_s / elapsed_s, 0.0) if elapsed_s > 0 else 0.0

    def note(self) -> str | None:
        """Return in words what worked beside us until now; None when hardly anything did."""
        cores = self.cores()
        return f"other work kept {cores:.1f} cores busy during the runs" if cores > BUSY_CORES else None


def _busy_s() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))
