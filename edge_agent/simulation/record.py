"""Writes down, line by line, what a simulated device wrote to its journal and made active, for the audit."""

import json
import os
from pathlib import Path
from typing import Any, Protocol

from edge_agent.files import Replace
from edge_agent.journal import KEEP_TERMINAL, Entry, Journal
from edge_agent.modelstore import Slots

FILE = "record.jsonl"


class Record(Protocol):
    """Who hears of each write."""

    def boot(self, number: int) -> None:
        """Hear that a life of the agent begins."""

    def entry(self, entry: Entry) -> None:
        """Hear of an entry that is on disk."""

    def slots(self, slots: Slots) -> None:
        """Hear that another model is active."""


class NoRecord:
    """Nobody."""

    def boot(self, number: int) -> None:
        """Do nothing."""

    def entry(self, entry: Entry) -> None:
        """Do nothing."""

    def slots(self, slots: Slots) -> None:
        """Do nothing."""


class FileRecord:
    """Lines at the end of `folder`/record.jsonl; they outlive a kill of the process, not of the machine."""

    def __init__(self, folder: Path) -> None:
        """Open the file, which may have lines of earlier lives."""
        folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(folder / FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def boot(self, number: int) -> None:
        """Write that a life of the agent begins."""
        self._line({"boot": number})

    def entry(self, entry: Entry) -> None:
        """Write how a command stands."""
        known = {"id": entry.id, "op": entry.op, "phase": entry.phase.value}
        self._line(known | {"attempt": entry.attempt, "seq": entry.seq, "ts": entry.ts})

    def slots(self, slots: Slots) -> None:
        """Write what is active, and by which deployment."""
        model = slots.active.model if slots.active else None
        self._line({"active": model.model if model else None, "by": model.deployment_id if model else None})

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _line(self, facts: dict[str, Any]) -> None:
        os.write(self._file, json.dumps(facts, separators=(",", ":")).encode() + b"\n")


class RecordedJournal(Journal):
    """A journal that tells `record` of each entry after it is on disk, so that a second write of the same shows."""

    def __init__(
        self, folder: Path, *, record: Record, rename: Replace = os.replace, keep: int = KEEP_TERMINAL
    ) -> None:
        """Read `folder`."""
        self._record = record
        super().__init__(folder, rename=rename, keep=keep)

    def put(self, entry: Entry) -> Entry:
        """Write `entry`; raises StorageError, WireError."""
        written = super().put(entry)
        self._record.entry(written)
        return written
