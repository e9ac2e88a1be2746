"""Moves events out of the stream into archive files, which stay until their time is over."""

import asyncio
import gzip
import logging
import math
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from broker.errors import NotFoundError, StorageError
from controller.logs import event_line
from controller.models.whole import disk_errors, publish, temporary
from controller.storage.store import Row, Store

logger = logging.getLogger(__name__)

NAME = re.compile(r"events-(\d{8}T\d{6}Z)-(\d+)-(\d+)-(\d+)(?:-\d+)?\.jsonl\.gz")
"""Made at, first and last event, how many; a second one of the same second has one number more."""

DAY_S = 86_400.0
LOOK_EVERY_S = 3_600.0
AT_ONCE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """An archive file, as its name tells."""

    name: str
    path: Path
    made_at: float
    first_id: int
    last_id: int
    events: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared:
    """What a clearing did; `archived_to` is None when there was nothing to move."""

    removed: int
    archived_to: File | None


@dataclass(slots=True, kw_only=True)
class Archive:
    """The files in `folder`; events move there on request, and by themselves after `event_days`.

    Each is a gzipped file of lines of JSON. It is whole on disk before anything leaves the database, so a crash at any
    moment loses nothing; at worst events are both in a file and in the database.
    """

    store: Store
    folder: Path
    event_days: float
    archive_days: float
    clock: Callable[[], float] = time.time
    _one: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        """Remove what an earlier life did not finish."""
        for left in self.folder.glob("tmp*"):
            left.unlink(missing_ok=True)

    async def clear(self, who: str, *, until: float | None = None, reason: str = "") -> Cleared:
        """Move every event before `until` (Unix s; None: all) into a file, and say so with an event of its own.

        Events of deployments and rollouts that still move stay. Raises StorageError, and then nothing was removed.
        """
        async with self._one:
            at = self.clock()
            ids = _Runs(end=self.store.newest_event())
            file = await self._write(at, until, ids)
            if file is None:
                return Cleared(removed=0, archived_to=None)
            text = f"{file.events:,} events moved to {file.name}" + (f" ({reason})" if reason else "")
            facts = {"archived_to": file.name, "removed": file.events, "reason": reason or None}
            facts |= {"first_id": file.first_id, "last_id": file.last_id, "before": until}
            with self.store.transaction():
                self.store.add_event(at, "archive", text, who=who, facts=facts)
                self.store.connection.executemany("DELETE FROM events WHERE id BETWEEN ? AND ?", ids.runs)
            return Cleared(removed=file.events, archived_to=file)

    def files(self) -> list[File]:
        """Return the archive files, newest first."""
        found = [file for path in self.folder.glob("events-*.jsonl.gz") if (file := _file(path)) is not None]
        return sorted(found, key=lambda file: (file.made_at, file.last_id), reverse=True)

    def file(self, name: str) -> File:
        """Return an archive file; raises NotFoundError."""
        for file in self.files():
            if file.name == name:
                return file
        raise NotFoundError(f"no archive '{name[:80]}'", hint="`edgewatt logs list` shows them")

    def kept_until(self, file: File) -> float:
        """Return when the time of a file is over, Unix s."""
        return file.made_at + self.archive_days * DAY_S

    async def run(self) -> None:
        """Keep to the times of events and files until cancelled."""
        while True:
            try:
                await self.tidy()
            except StorageError as error:
                logger.error("the log cannot be archived, trying again later: %s", error.message)  # noqa: TRY400 - a sentence, not a trace
            await asyncio.sleep(LOOK_EVERY_S)

    async def tidy(self) -> None:
        """Remove files whose time is over, and move old events into a file, a day's worth at least."""
        at = self.clock()
        for file in self.files():
            if at >= self.kept_until(file):
                self._remove(file, at)
        oldest = self.store.query("SELECT min(at) AS at FROM events")[0]["at"]
        limit = at - self.event_days * DAY_S
        if oldest is not None and oldest < limit - DAY_S:
            await self.clear("controller", until=limit, reason=f"older than {self.event_days:g} days")

    async def _write(self, at: float, until: float | None, ids: "_Runs") -> File | None:
        """Write what is to go into a file that is sure to survive, and its numbers into `ids`."""
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            with temporary(self.folder) as out:
                with gzip.GzipFile(fileobj=out, mode="wb", filename="", mtime=int(at)) as packed:
                    while rows := self._leaving(ids, until):
                        ids.add(row["id"] for row in rows)
                        await asyncio.to_thread(packed.writelines, map(event_line, rows))
                if not ids.runs:
                    return None
                target = self._free_name(at, ids)
                await asyncio.to_thread(publish, out, target)
        return _file(target)

    def _leaving(self, ids: "_Runs", until: float | None) -> list[Row]:
        told = _still_told(self.store.connection.json_text("facts", "rollout_id"))
        sql = f"SELECT * FROM events WHERE id > ? AND id <= ? AND +at < ? AND NOT ({told}) ORDER BY id LIMIT ?"  # noqa: S608 - our own text
        return self.store.query(sql, [ids.last, ids.end, math.inf if until is None else until, AT_ONCE])

    def _free_name(self, at: float, ids: "_Runs") -> Path:
        stamp = datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")
        name = f"events-{stamp}-{ids.first}-{ids.last}-{ids.count}"
        target, number = self.folder / f"{name}.jsonl.gz", 1
        while target.exists():
            number += 1
            target = self.folder / f"{name}-{number}.jsonl.gz"
        return target

    def _remove(self, file: File, at: float) -> None:
        with disk_errors(self.folder):
            file.path.unlink(missing_ok=True)
        text = f"{file.name} with {file.events:,} events was kept for {self.archive_days:g} days and is removed"
        with self.store.transaction():
            self.store.add_event(at, "archive", text, facts={"file": file.name, "events": file.events})


@dataclass(slots=True)
class _Runs:
    """Numbers in rising order up to `end`, as pairs of the first and the last of those without a gap between them."""

    end: int
    runs: list[tuple[int, int]] = field(default_factory=list)
    count: int = 0

    @property
    def first(self) -> int:
        return self.runs[0][0]

    @property
    def last(self) -> int:
        return self.runs[-1][1] if self.runs else 0

    def add(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self.count += 1
            if self.runs and number == self.last + 1:
                self.runs[-1] = (self.runs[-1][0], number)
            else:
                self.runs.append((number, number))


def _still_told(rollout_id: str) -> str:
    """Return in SQL which events are of deployments and rollouts that still move: they stay until it is whole."""
    return (
        "coalesce(deployment_id, '') IN (SELECT id FROM deployments WHERE open = 1) OR (kind = 'rollout' "  # noqa: S608 - our own words
        f"AND coalesce({rollout_id}, '') IN (SELECT id FROM rollouts WHERE open = 1))"
    )


def _file(path: Path) -> File | None:
    found = NAME.fullmatch(path.name)
    if found is None:
        return None
    made_at = datetime.strptime(found[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    first_id, last_id, events = (int(found[number]) for number in (2, 3, 4))
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return None
    return File(
        name=path.name,
        path=path,
        made_at=made_at,
        first_id=first_id,
        last_id=last_id,
        events=events,
        size=size,
    )
