"""Measures one model after the other, each in a process of its own, and goes on where it was stopped."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

from broker.benchmark_row import BenchmarkRow
from broker.errors import EdgeWattError, RuntimeUnavailableError
from edge_agent.benchmark import apart, marks, rows
from edge_agent.benchmark.child import Answer, Order
from edge_agent.benchmark.features import Features, find
from edge_agent.benchmark.subjects import Subject, fetched
from edge_agent.benchmark.table import Table, key_of
from edge_agent.runtimes import Working, choose

SHORT_S = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What every measurement of a sweep shares; `order` is completed by each model's file, format and runtime."""

    order: Order
    runtimes: Sequence[Working]
    features: Features
    limit_s: float
    tell: Callable[[str], None]
    measure: Callable[..., Answer] = apart.measure

    def measured(self, subject: Subject) -> tuple[BenchmarkRow, Answer]:
        """Return the row of `subject`, whose file is here; one that cannot be measured says why in `error`."""
        identity, order = self.identity(subject)
        began = time.time()
        try:
            runtime, _ = choose(subject.format, [working.runtime for working in self.runtimes])
            answer = self.measure(replace(order, runtime=runtime.name), limit_s=self.limit_s)
        except RuntimeUnavailableError as error:
            answer = Answer(error=error.message)
        known, size_bytes = find(self.features, subject.model), subject.path.stat().st_size
        return rows.row(identity, subject, known, answer, size_bytes=size_bytes, at=began), answer

    def identity(self, subject: Subject) -> tuple[BenchmarkRow, Order]:
        """Return a row with what makes a measurement of `subject` the same as another, and its order."""
        runs = next((w for w in self.runtimes if subject.format in w.runtime.formats), None)
        identity = BenchmarkRow(
            model=subject.model,
            device=self.order.device_type,
            runtime=runs.runtime.name if runs else "",
            version=runs.info.version if runs else "",
            threads=self.order.threads,
            artifact_sha256=subject.sha256 or "",
        )
        providers = runs.info.providers if runs else ()
        return identity, replace(self.order, path=str(subject.path), format=subject.format, providers=providers)


@dataclass(slots=True, kw_only=True)
class Tally:
    """How far a sweep is."""

    total: int
    measured: int = 0
    failed: int = 0
    there: int = 0
    began: float = 0.0

    @property
    def done(self) -> int:
        """How many models are behind us."""
        return self.measured + self.failed + self.there

    def left(self, now: float) -> str:
        """Return in words how long the rest will take, judged by what was measured; empty when nothing was."""
        tried = self.measured + self.failed
        if not tried or self.done == self.total:
            return ""
        seconds = (now - self.began) / tried * (self.total - self.done)
        return f", about {seconds:.0f} s left" if seconds < SHORT_S else f", about {seconds / 60:.0f} min left"


def sweep(subjects: Sequence[Subject], table: Table, bench: Bench, *, again: bool = False) -> Tally:
    """Have a row in `table` for each of `subjects`: those that are there stay, unless `again` is wanted.

    A model that crashes, hangs or cannot be loaded costs a row with `error`, one that cannot be fetched none, so that
    the next sweep tries it. Raises StorageError when the table cannot be written.
    """
    tally, stop = Tally(total=len(subjects), began=time.monotonic()), Event()
    for subject in subjects:
        if not again and subject.sha256 is not None and _is_done(subject, table, bench):
            tally.there += 1
            continue
        try:
            here = replace(subject, sha256=fetched(subject, stop))
        except EdgeWattError as error:
            tally.failed += 1
            bench.tell(f"{_place(tally)} {subject.model}: {error.message}")
            continue
        if not again and _is_done(here, table, bench):
            tally.there += 1
            continue
        row, answer = bench.measured(here)
        if answer.figures is not None:
            marks.append(marks.path_for(table.path), rows.marks(row, answer))
        table.put(row)
        _forget(here)
        if row.error:
            tally.failed += 1
        else:
            tally.measured += 1
        bench.tell(f"{_place(tally)} {said(row)}{tally.left(time.monotonic())}")
    return tally


def _is_done(subject: Subject, table: Table, bench: Bench) -> bool:
    return table.done(key_of(bench.identity(subject)[0]))


def said(row: BenchmarkRow) -> str:
    """Return one line about `row` for people."""
    if row.error or row.latency_avg_s is None:
        return f"{row.model}: {row.error}"
    energy = "" if row.energy_mj is None else f", {row.energy_mj:.4g} mJ ({row.meter})"
    note = f" [{row.note}]" if row.note else ""
    return f"{row.model}: {row.latency_avg_s * 1_000:.4g} ms{energy}{note}"


def _place(tally: Tally) -> str:
    return f"[{tally.done}/{tally.total}]"


def _forget(subject: Subject) -> None:
    """Remove a file that was fetched only to be measured: a catalogue is larger than a board's disk."""
    if subject.url is not None:
        Path(subject.path).unlink(missing_ok=True)
