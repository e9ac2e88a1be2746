"""Keeps every command in a file of its own, safe on disk before anyone is told."""

import os
import re
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from broker.commands import Ack, Command, Fault, Progress
from broker.errors import ConflictError, NotFoundError, WireError
from broker.messages import LastCommand
from broker.phases import NEXT, TERMINAL, Phase
from broker.wire import decode, encode
from edge_agent.files import Replace, write_whole
from edge_agent.work import Ending

KEEP_TERMINAL = 64
"""Ended commands that stay on disk; the reported state shows the newest 16."""

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_REPORTED_OPS = frozenset({"deploy", "bench"})
_SIMPLE_ENDS = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.REJECTED, Phase.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One command and how far it came.

    (`attempt`, `seq`) rises strictly with all that is told. `request_fingerprint` is that of the request by name which
    `command` completed. `crashes` counts reboots found in the middle of loading or probing. `ending` is how somebody
    asked it to end while it was at work.
    """

    id: str
    op: str
    phase: Phase
    created_at: float
    ts: float
    fingerprint: str
    attempt: int = 1
    seq: int = 1
    gen: int | None = None
    reason: str | None = None
    command: Command | None = None
    request_fingerprint: str | None = None
    crashes: int = 0
    progress: Progress | None = None
    error: Fault | None = None
    result: dict[str, Any] | None = None
    ending: Ending | None = None
    detail: str | None = None
    eta: float | None = None

    @property
    def terminal(self) -> bool:
        """Whether nothing will change any more."""
        return self.phase in TERMINAL

    def ack(self) -> Ack:
        """Return what the world is told of this entry."""
        return Ack(
            id=self.id,
            op=self.op,
            state=self.phase,
            attempt=self.attempt,
            seq=self.seq,
            gen=self.gen,
            ts=self.ts,
            reason=self.reason,
            progress=self.progress,
            error=self.error,
            result=self.result,
            detail=self.detail,
            eta=self.eta,
        )

    def summary(self) -> LastCommand:
        """Return this entry's line in the reported state."""
        return LastCommand(
            id=self.id,
            op=self.op,
            state=self.phase,
            attempt=self.attempt,
            seq=self.seq,
            gen=self.gen,
            ts=self.ts,
            code=self.error.code if self.error else None,
            msg=self.reason or (self.error.msg if self.error else None),
            result=self.result if self.op in _REPORTED_OPS else None,
        )


class Journal:
    """The entries of one device, in memory and in `folder`."""

    def __init__(self, folder: Path, *, rename: Replace = os.replace, keep: int = KEEP_TERMINAL) -> None:
        """Read `folder`; a file that cannot be read is moved to `quarantine/` and counted in `quarantined`."""
        self.folder = folder
        self.quarantined = 0
        self._rename = rename
        self._keep = keep
        folder.mkdir(parents=True, exist_ok=True)
        for half in folder.glob("*.tmp"):
            half.unlink()
        read = (self._read(path) for path in sorted(folder.glob("*.json")))
        self._entries = {entry.id: entry for entry in read if entry is not None}

    def get(self, command_id: str) -> Entry | None:
        """Return the entry of `command_id`, if it is known."""
        return self._entries.get(command_id)

    def newest(self) -> tuple[Entry, ...]:
        """Return all entries, the one that changed last first."""
        return tuple(sorted(self._entries.values(), key=lambda e: e.ts)[::-1])

    def unfinished(self) -> tuple[Entry, ...]:
        """Return what has not ended, oldest first."""
        return tuple(sorted((e for e in self._entries.values() if not e.terminal), key=lambda e: e.created_at))

    def put(self, entry: Entry) -> Entry:
        """Write `entry` as it is: a first life, a new life, or a completed request; raises StorageError, WireError."""
        write_whole(self._path(entry.id), encode(entry), replace=self._rename)
        self._entries.pop(entry.id, None)
        self._entries[entry.id] = entry
        self._prune()
        return entry

    def move(self, command_id: str, phase: Phase, *, now: float, **changes: Any) -> Entry:
        """Write that `command_id` reached `phase`; raises ConflictError for a move that the contract does not know."""
        entry = self._known(command_id)
        if phase not in _allowed(entry):
            raise ConflictError(f"{entry.phase} does not lead to {phase}", code="bad_move", command_id=command_id)
        plain = {"reason": None, "progress": None, "detail": None, "eta": None, **changes}
        return self.put(replace(entry, phase=phase, seq=entry.seq + 1, ts=now, **plain))

    def note(self, command_id: str, *, now: float, **changes: Any) -> Entry:
        """Write news of `command_id` within its phase."""
        entry = self._known(command_id)
        return self.put(replace(entry, seq=entry.seq + 1, ts=now, **changes))

    def tell(self, command_id: str, *, now: float, **changes: Any) -> Entry:
        """Return news of `command_id` within its phase that no reboot needs: they are in memory, not on disk.

        A reboot begins a new attempt, so that (`attempt`, `seq`) rises all the same.
        """
        entry = self._known(command_id)
        told = self._entries[command_id] = replace(entry, seq=entry.seq + 1, ts=now, **changes)
        return told

    def begin_again(self, command_id: str, phase: Phase, *, now: float, **changes: Any) -> Entry:
        """Write that `command_id` is tried once more after a reboot, from `phase` on."""
        entry = self._known(command_id)
        again = replace(entry, phase=phase, attempt=entry.attempt + 1, seq=entry.seq + 1, ts=now)
        plain = {"progress": None, "detail": None, "eta": None, **changes}
        return self.put(replace(again, **plain))

    def _known(self, command_id: str) -> Entry:
        entry = self._entries.get(command_id)
        if entry is None:
            raise NotFoundError(f"no command {command_id} in the journal")
        return entry

    def _path(self, command_id: str) -> Path:
        safe = _SAFE_NAME.fullmatch(command_id)
        name = command_id if safe else "x-" + sha256(command_id.encode("utf-8", "surrogatepass")).hexdigest()[:40]
        return self.folder / f"{name}.json"

    def _read(self, path: Path) -> Entry | None:
        try:
            return decode(Entry, path.read_bytes())
        except (WireError, OSError):
            self.quarantined += 1
            jail = self.folder / "quarantine"
            jail.mkdir(exist_ok=True)
            path.replace(jail / path.name)
            return None

    def _prune(self) -> None:
        ended = [e for e in self.newest() if e.terminal]
        for entry in ended[self._keep :]:
            self._path(entry.id).unlink(missing_ok=True)
            del self._entries[entry.id]


def _allowed(entry: Entry) -> frozenset[Phase]:
    """Return where `entry` may go: a deploy by the table of the contract, anything else from accepted to its end."""
    if entry.op == "deploy":
        return NEXT[entry.phase]
    return _SIMPLE_ENDS if entry.phase is Phase.ACCEPTED else frozenset()
