"""Lets a deployment wait for its conditions and for room on the disk, and says for what and until when."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from broker.commands import ArtifactRef, Command
from broker.errors import StorageError
from broker.messages import PowerState
from broker.phases import Phase
from edge_agent.conditions import Rise, Unmet, unmet
from edge_agent.content import Contents
from edge_agent.moves import Moves
from edge_agent.work import Work

SAID_EVERY_S = 60.0
"""News of the same reason at most this often."""

DISK_PATIENCE_S = 3_600.0
"""How long a full disk is waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What a waiting step looks at, every `poll_s`; `spared` contents make no room for others."""

    moves: Moves
    contents: Contents
    power: Callable[[], PowerState]
    spared: Callable[[], set[str]]
    poll_s: float
    disk_patience_s: float = DISK_PATIENCE_S

    async def until_met(self, work: Work, command: Command) -> None:
        """Wait as long as the command's conditions are not met; raises StoppedError."""
        rise, said_at = Rise(), 0.0
        while True:
            at, power = self.moves.now(), self.power()
            rise.see(at, power.soc_pct)
            missing = unmet(command.when, power, datetime.fromtimestamp(at).astimezone(), rise)
            if missing is None:
                return
            said_at = self._say(work.id, missing, at, said_at)
            await work.rest(self.poll_s)

    async def until_room(self, work: Work, ref: ArtifactRef) -> None:
        """Wait as long as the disk has no room for `ref`; raises StoppedError, StorageError when that took too long."""
        waited_s, said_at = 0.0, 0.0
        while (short := self.shortage(ref)) is not None:
            if waited_s >= self.disk_patience_s:
                raise short
            missing = Unmet(reason="disk", detail=short.message)
            said_at = self._say(work.id, missing, self.moves.now(), said_at)
            await work.rest(self.poll_s)
            waited_s += self.poll_s

    def shortage(self, ref: ArtifactRef) -> StorageError | None:
        """Return why the disk has no room for what is missing of `ref`, though kept older models went first."""
        return self.contents.shortage(ref, spared={*self.spared(), ref.sha256.lower()})

    def _say(self, command_id: str, missing: Unmet, at: float, said_at: float) -> float:
        """Tell what is missing where that is news; return when it was told last."""
        entry = self.moves.entry(command_id)
        words = {"reason": missing.reason, "detail": missing.detail, "eta": missing.eta}
        if entry.phase is not Phase.WAITING:
            self.moves.to(command_id, Phase.WAITING, **words)
            return at
        news = (entry.detail, entry.eta) != (missing.detail, missing.eta)
        if entry.reason == missing.reason and not (news and abs(at - said_at) >= SAID_EVERY_S):
            return said_at
        self.moves.note(command_id, **words)
        return at
