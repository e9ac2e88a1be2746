"""Telemetry between its arrival and its commit: placed in time, its gaps counted, written in one statement."""

from dataclasses import replace
from typing import Any

from broker.messages import Telemetry
from broker.topics import TELEMETRY
from controller import quick
from controller.storage.readings import Newest, Payloads
from controller.storage.store import Store
from controller.telemetry import history
from controller.telemetry.gaps import Gaps
from controller.telemetry.history import EARLIEST_TS, MAX_CLOCK_SKEW_S
from controller.telemetry.live import Live

MOST_KEPT_BYTES = 2_000
"""A longer payload is kept as what was read of it."""
NOTHING = b""


class Samples:
    """Gathers what came since the last flush; call it inside a transaction."""

    def __init__(self, store: Store, live: Live, *, counts_gaps: bool = True) -> None:
        """Write into `store`, and let `live` have what comes while somebody listens.

        Who hears only some of a device's samples cannot count its gaps.
        """
        self._store, self._live = store, live
        self._gaps = Gaps(store) if counts_gaps else None
        self.clock_off = 0
        self.skews: dict[str, float] = {}
        self._rows: list[tuple[Any, ...]] = []
        self._newest: Newest = {}
        self._payloads: Payloads = {}

    def take(self, device_id: str, payload: bytes, at: float) -> None:
        """Take in a message of a device that is known. Raises WireError, and has taken nothing then."""
        sample = quick.read(payload)
        if sample is None:
            self._take_slowly(device_id, TELEMETRY.decode(payload), at)
            return
        said_ts = sample.ts
        sample.ts = self._add(device_id, sample, at)
        if not sample.spooled:
            self.skews[device_id] = said_ts - at
            self._newest[device_id] = sample, at
            says_it = sample.ts == said_ts and len(payload) <= MOST_KEPT_BYTES
            self._payloads[device_id] = payload if says_it else NOTHING
            if self._live.readers:
                self._live.hold(device_id, replace(TELEMETRY.decode(payload), ts=sample.ts), at)

    def flush(self) -> tuple[Newest, int]:
        """Write samples, gaps and newest readings; return these, and how many samples the database has no place for."""
        if self._gaps is not None:
            self._store.add_gaps(self._gaps.settle())
        refused, newest = history.add_rows(self._store, self._rows), self._newest
        self._store.readings.put(newest, self._payloads)
        self.clear()
        return newest, refused

    def clear(self) -> None:
        """Forget what was gathered: it is written."""
        self._rows, self._newest, self._payloads = [], {}, {}
        self.clock_off = 0

    def discard(self) -> None:
        """Forget what was gathered, and count from what is stored: the transaction was rolled back."""
        self.clear()
        if self._gaps is not None:
            self._gaps.forget()

    def _take_slowly(self, device_id: str, message: Telemetry, at: float) -> None:
        """Take in a batch, or a sample that has to be looked at twice."""
        for each in message.samples:
            ts = self._add(device_id, each, at)
        if not message.batch and not message.spooled:
            self.skews[device_id] = (message.ts or at) - at
            sample = replace(message, ts=ts)
            self._newest[device_id], self._payloads[device_id] = (sample, at), NOTHING
            self._live.hold(device_id, sample, at)

    def _add(self, device_id: str, sample: Any, at: float) -> float:
        """Gather one sample, and return when it was taken: at the time it came, when the time it tells cannot be."""
        ts: float = sample.ts
        if not EARLIEST_TS <= ts <= at + MAX_CLOCK_SKEW_S:
            ts = at
            self.clock_off += 1
        self._rows.append(history.row(device_id, sample, ts, at))
        if self._gaps is not None:
            self._gaps.note(device_id, sample.session, sample.seq, spooled=sample.spooled)
        return ts
