"""Fills a meter's trace in a thread of its own while something runs."""

import time
from threading import Event, Thread
from types import TracebackType
from typing import Self

from edge_agent.power.trace import Trace

MOST_HZ = 50.0
"""More often would cost the device what is to be measured; counters need it only to see each of their wraps."""


class Sampling:
    """A context in which `trace` grows by `rate_hz` readings a second, at most by `MOST_HZ`."""

    def __init__(self, trace: Trace, rate_hz: float | None) -> None:
        """Begin with the context, not before."""
        self._trace = trace
        self._interval_s = 1 / min(rate_hz or 1.0, MOST_HZ)
        self._ended = Event()
        self._thread = Thread(target=self._sample, name="sampling", daemon=True)

    def __enter__(self) -> Self:
        """Take the first reading and go on."""
        self._trace.take()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take no more readings."""
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        due = time.monotonic() + self._interval_s
        while not self._ended.wait(max(due - time.monotonic(), 0.0)):
            self._trace.take()
            due = max(due + self._interval_s, time.monotonic())
