"""Moves deployments: each step is written down before it is told."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from broker.phases import Phase
from edge_agent.journal import Entry, Journal

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """`news` hears of each step after it is on disk."""

    journal: Journal
    news: Callable[[Entry], None]
    now: Callable[[], float]

    def entry(self, command_id: str) -> Entry:
        """Return how `command_id` stands; it is in the journal."""
        entry = self.journal.get(command_id)
        assert entry is not None
        return entry

    def to(self, command_id: str, phase: Phase, **changes: Any) -> None:
        """Let `command_id` enter `phase`; raises StorageError, and ConflictError for a move the contract has not."""
        entry = self.journal.move(command_id, phase, now=self.now(), **changes)
        log.info("%s %s %s %s", entry.op, command_id, phase, entry.reason or "", extra={"cmd_id": command_id})
        self.news(entry)

    def note(self, command_id: str, **changes: Any) -> None:
        """Tell how far `command_id` is within its step, or what it waits for, if it has not ended."""
        if not self.entry(command_id).terminal:
            self.news(self.journal.tell(command_id, now=self.now(), **changes))
