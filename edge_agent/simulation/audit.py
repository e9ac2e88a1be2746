"""Reads what devices wrote down, and says what it proves: what is open, what was applied twice, who has no model."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import file_digest
from pathlib import Path
from typing import Any

from broker.errors import WireError
from broker.phases import TERMINAL, Phase
from broker.wire import decode
from edge_agent.journal import Entry
from edge_agent.modelstore import Slots
from edge_agent.simulation.record import FILE

ENDED = frozenset(phase.value for phase in TERMINAL)
TYPED = "h-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one device's files show; `faulty` says why it has no working model, None when it has one."""

    device_id: str
    boots: int
    commands: dict[str, str]
    stuck: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()
    model: str | None = None
    active_by: str | None = None
    faulty: str | None = None


def audit(data: Path) -> Iterator[Found]:
    """Yield what is found in each device's folder under `data`; writes nothing."""
    for folder in sorted(data.iterdir()):
        if (folder / "journal").is_dir():
            yield _of(folder)


def _of(folder: Path) -> Found:
    entries = {entry.id: entry for entry in _entries(folder / "journal")}
    history = History()
    for line in _lines(folder / FILE):
        history.hear(line)
    slots = _slots(folder / "models" / "slots.json")
    active = slots.active
    still = (entry for entry in entries.values() if not entry.terminal)
    return Found(
        device_id=folder.name,
        boots=history.boots,
        commands={entry.id: entry.phase.value for entry in entries.values()},
        stuck=tuple(f"{e.id}: {e.op} {e.phase.value} ({e.reason or 'no reason'})" for e in still),
        doubled=tuple(history.doubled),
        model=active.model.model if active else None,
        active_by=active.model.deployment_id if active else None,
        faulty=_fault(folder / "models", slots),
    )


@dataclass(slots=True)
class History:
    """The lines of one device in their order; `doubled` are sentences, each about a command that was applied twice."""

    boots: int = 0
    doubled: list[str] = field(default_factory=list)
    _newest: dict[str, dict[str, Any]] = field(default_factory=dict)
    _activated: set[tuple[str, int]] = field(default_factory=set)
    _swaps: dict[str, int] = field(default_factory=dict)

    def hear(self, line: dict[str, Any]) -> None:
        """Take in the next line."""
        if "boot" in line:
            self.boots += 1
        elif "id" in line:
            self._on_entry(line)
        elif "by" in line:
            self._on_active(line["by"])

    def _on_entry(self, line: dict[str, Any]) -> None:
        before = self._newest.get(line["id"])
        if before is not None:
            if (line["attempt"], line["seq"]) <= (before["attempt"], before["seq"]):
                self.doubled.append(
                    f"{line['id']}: its journal went back to attempt {line['attempt']}, seq {line['seq']}"
                )
            elif before["phase"] in ENDED and not _lives_again(before, line):
                self.doubled.append(f"{line['id']}: {before['phase']}, then {line['phase']} again")
        self._newest[line["id"]] = line
        if line["op"] == "rollback" and line["phase"] == Phase.SUCCEEDED and self._swaps.pop(line["id"], 0) > 1:
            self.doubled.append(f"{line['id']}: it exchanged the models more than once")

    def _on_active(self, by: str | None) -> None:
        """Judge a change of the active model by what is at work: a deployment before rollbacks that wait their turn."""
        at_work = [line for line in self._newest.values() if line["phase"] not in ENDED]
        if any(line["phase"] == Phase.ROLLING_BACK for line in at_work):
            return
        proving = next((line for line in at_work if line["id"] == by and line["phase"] == Phase.PROBING), None)
        if proving is None:
            for line in at_work:
                if line["op"] == "rollback":
                    self._swaps[line["id"]] = self._swaps.get(line["id"], 0) + 1
            return
        life = proving["id"], proving["attempt"]
        if life in self._activated:
            self.doubled.append(f"{by}: made active twice in attempt {proving['attempt']}")
        self._activated.add(life)


def _lives_again(before: dict[str, Any], line: dict[str, Any]) -> bool:
    """Return whether a person typed the same once more, after the minute in which it is the same command."""
    begins = line["phase"] == Phase.ACCEPTED and line["attempt"] == before["attempt"] + 1
    return begins and str(line["id"]).startswith(TYPED)


def _entries(folder: Path) -> Iterator[Entry]:
    for path in sorted(folder.glob("*.json")):
        yield decode(Entry, path.read_bytes())


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        for line in path.read_bytes().splitlines():
            yield json.loads(line)


def _slots(path: Path) -> Slots:
    try:
        return decode(Slots, path.read_bytes())
    except (FileNotFoundError, WireError):
        return Slots()


def _fault(models: Path, slots: Slots) -> str | None:
    if slots.active is None:
        return "no model is active"
    sha256 = slots.active.model.artifact_sha256
    path = models / "sha256" / sha256 / f"model.{slots.active.format}"
    if not path.exists():
        return f"the file of {slots.active.model.model} is missing"
    with path.open("rb") as file:
        whole = file_digest(file, "sha256").hexdigest() == sha256
    return None if whole else f"the file of {slots.active.model.model} is damaged"
