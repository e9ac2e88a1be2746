"""Takes the pictures that appear in a folder, each once, and keeps what the model answered."""

import json
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from broker.errors import EdgeWattError, InvalidError, StorageError
from edge_agent.files import storage_error, write_whole
from edge_agent.inputs.pictures import opened, prepared
from edge_agent.inputs.results import Results
from edge_agent.inputs.source import Consumer, Item, Outcome
from edge_agent.runtimes.facts import ModelFacts

SUFFIXES = (".png", ".jpg", ".jpeg")
LOOK_S = 1.0
SHARE_OF_A_CORE = 0.05
"""What looking may cost: a folder of many thousand files is looked at less often."""

MOST_BYTES = 100_000_000
"""Of one file: what is larger is not read into memory."""

FULL_DISK_S = 30.0
"""How long the folder rests when a result could not be written."""

MOST_STALE_LINES = 1_000

Stamp = tuple[int, int]
"""Size and time of the last change, ns: a file that changed is a new one."""


class Seen:
    """The files that were answered, kept at `path` over restarts; those that left the folder are forgotten."""

    def __init__(self, path: Path) -> None:
        """Read what is there; a line that was cut off is left out."""
        self.path = path
        self._stamps: dict[str, Stamp] = {}
        self._lines = 0
        try:
            lines = path.read_text("utf-8").splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            try:
                name, size, changed = json.loads(line)
            except (ValueError, TypeError):
                continue
            self._stamps[name] = (size, changed)
        self._lines = len(lines)

    def has(self, name: str, stamp: Stamp) -> bool:
        """Whether this file was answered as it is now."""
        return self._stamps.get(name) == stamp

    def add(self, name: str, stamp: Stamp) -> None:
        """Remember a file; raises StorageError."""
        self._stamps[name] = stamp
        try:
            with self.path.open("ab") as file:
                file.write(_line(name, stamp))
        except OSError as error:
            raise storage_error(error, self.path) from error
        self._lines += 1

    def keep(self, present: set[str]) -> None:
        """Forget what is no longer `present`, once that is worth writing the file anew; raises StorageError."""
        if self._lines <= len(self._stamps.keys() & present) + MOST_STALE_LINES:
            return
        self._stamps = {name: stamp for name, stamp in self._stamps.items() if name in present}
        write_whole(self.path, b"".join(_line(*each) for each in self._stamps.items()))
        self._lines = len(self._stamps)


@dataclass(slots=True, kw_only=True)
class Folder:
    """The pictures in `path` itself, oldest first; a file is taken when it has stopped changing."""

    path: Path
    results: Results
    seen: Seen
    now: Callable[[], float] = time.monotonic
    name: str = "folder"
    poll_s: float | None = LOOK_S
    fault: str | None = None
    _waiting: deque[tuple[str, Stamp]] = field(default_factory=deque)
    _growing: dict[str, Stamp] = field(default_factory=dict)
    _rests_until: float = 0.0
    _looks_at: float = 0.0

    def open(self, consumer: Consumer) -> None:
        """Nothing has to begin: the folder is looked at when there is time."""

    def next(self) -> Item | None:
        """Return the next picture, if there is one."""
        if self.now() < self._rests_until:
            return None
        if not self._waiting and self.now() >= self._looks_at:
            self._look()
        return self._item(*self._waiting.popleft()) if self._waiting else None

    def close(self) -> None:
        """Nothing is left open."""

    def _item(self, name: str, stamp: Stamp) -> Item:
        def values(facts: ModelFacts) -> Any:
            if stamp[0] > MOST_BYTES:
                raise InvalidError(f"{name} has {stamp[0] / 1e6:.0f} MB", code="bad_image", hint="make it smaller")
            try:
                data = (self.path / name).read_bytes()
            except OSError as error:
                raise InvalidError(f"{name} cannot be read: {error.strerror or error}", code="bad_image") from error
            return prepared(opened(data), facts)

        def answered(outcome: Outcome) -> None:
            self._end(name, stamp, lambda: self.results.answered(name, outcome))

        def refused(error: EdgeWattError) -> None:
            self._end(name, stamp, lambda: self.results.refused(name, error))

        return Item(name=name, values=values, answered=answered, refused=refused)

    def _end(self, name: str, stamp: Stamp, write: Callable[[], None]) -> None:
        """Write the result, then that the file is done; rest where the disk refuses, and take it again later."""
        try:
            write()
            self.seen.add(name, stamp)
        except StorageError as error:
            self.fault, self._rests_until = error.message, self.now() + FULL_DISK_S
            self._waiting.clear()
            raise
        self.fault = None

    def _look(self) -> None:
        """Find what is new and has not changed since the last look."""
        began = self.now()
        found: dict[str, Stamp] = {}
        try:
            found = _pictures(self.path)
            self.seen.keep(set(found))
        except OSError as error:
            self.fault = f"cannot look into {self.path}: {error.strerror or error}"
        except StorageError as error:
            self.fault = error.message
        else:
            self.fault = None
        new = {name: stamp for name, stamp in found.items() if not self.seen.has(name, stamp)}
        settled = [(name, stamp) for name, stamp in new.items() if self._growing.get(name) == stamp]
        self._waiting.extend(sorted(settled, key=lambda each: (each[1][1], each[0])))
        self._growing = new
        self.poll_s = max(LOOK_S, (self.now() - began) / SHARE_OF_A_CORE)
        self._looks_at = self.now() + self.poll_s


def seen_of(folder: Path, data: Path) -> Seen:
    """Return what was seen of `folder`, kept under the agent's `data`."""
    home = data / "inputs"
    home.mkdir(parents=True, exist_ok=True)
    return Seen(home / f"seen-{sha256(os.fsencode(folder.resolve())).hexdigest()[:12]}.jsonl")


def _pictures(folder: Path) -> dict[str, Stamp]:
    found: dict[str, Stamp] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or not entry.name.lower().endswith(SUFFIXES):
                continue
            try:
                if entry.is_file():
                    about = entry.stat()
                    found[entry.name] = (about.st_size, about.st_mtime_ns)
            except FileNotFoundError:
                continue
    return found


def _line(name: str, stamp: Stamp) -> bytes:
    return json.dumps([name, *stamp]).encode() + b"\n"
