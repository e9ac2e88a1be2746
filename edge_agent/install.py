"""The device's half of a deployment: one step after the other, each written down before it is told."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from broker.commands import ArtifactRef, Command, Fault, Progress
from broker.errors import ArtifactError, EdgeWattError, StorageError
from broker.messages import ActiveModel, PowerState
from broker.phases import Phase
from edge_agent.bench import Measured
from edge_agent.content import Contents
from edge_agent.fallback import COMMITTED, STOPPED, Fallback
from edge_agent.insisting import insist
from edge_agent.journal import Entry, Journal
from edge_agent.modelstore import Held, ModelStore
from edge_agent.moves import Moves
from edge_agent.policy import Rules
from edge_agent.proving import Prover, UnfitError
from edge_agent.runtimes.session import Session
from edge_agent.serving import Server
from edge_agent.trust import Trust
from edge_agent.waiting import DISK_PATIENCE_S, Waiting
from edge_agent.work import StoppedError, Work

MOST_CRASHES = 3
"""Reboots in the middle of loading or probing that prove a model unfit."""

RISKY = frozenset({Phase.LOADING, Phase.PROBING})
HAD_IT = "already on the device"

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Installer:
    """Everything a deployment touches; `news` hears each entry after it is on disk.

    `governed` are contents that a ladder of the governor needs, `keep_bytes` is what models older than the previous one
    may take on the disk.
    """

    journal: Journal
    store: ModelStore
    contents: Contents
    prover: Prover
    server: Server
    news: Callable[[Entry], None]
    now: Callable[[], float]
    power: Callable[[], PowerState]
    poll_s: float = 5.0
    trust: Trust = field(default_factory=Trust)
    governed: Callable[[], set[str]] = set
    rules: Rules = field(default_factory=Rules)
    keep_bytes: int = 0
    disk_patience_s: float = DISK_PATIENCE_S
    fallback: Fallback = field(init=False)
    _moves: Moves = field(init=False)
    _waiting: Waiting = field(init=False)

    def __post_init__(self) -> None:
        """Hand the parts of a deployment what they share."""
        self._moves = Moves(journal=self.journal, news=self.news, now=self.now)
        self._waiting = Waiting(
            moves=self._moves,
            contents=self.contents,
            power=self.power,
            spared=self.governed,
            poll_s=self.poll_s,
            disk_patience_s=self.disk_patience_s,
        )
        self.fallback = Fallback(moves=self._moves, store=self.store, prover=self.prover, server=self.server)

    async def run(self, work: Work) -> None:
        """Bring the deployment `work.id` from wherever the journal says it is to its end."""
        back, every_s = self.fallback, self.poll_s
        try:
            await self._steps(work)
        except StoppedError:
            await insist(lambda: back.stopped(work), every_s=every_s)
        except UnfitError as error:
            unfit = self._told(work.id, error)
            await insist(lambda: back.unfit(work.id, unfit), every_s=every_s)
        except EdgeWattError as error:
            known = error
            await insist(lambda: back.failed(work.id, known), every_s=every_s)
        except Exception as bug:
            # it would take the agent down again after each reboot, and the model that runs with it
            log.exception("%s met a bug", work.id)
            internal = ArtifactError(f"{type(bug).__name__}: {bug}", code="internal", hint="the agent's log says where")
            await insist(lambda: back.failed(work.id, internal), every_s=every_s)
        finally:
            self.tidy()

    def crashed(self, entry: Entry) -> bool:
        """Whether `entry` was cut off in a step that may itself have been the cause; a clean stop was not."""
        return entry.phase in RISKY and entry.reason != STOPPED

    async def _steps(self, work: Work) -> None:
        entry = self._moves.entry(work.id)
        if entry.phase is Phase.ROLLING_BACK:
            await self.fallback.roll_back(work.id, Fault(code="interrupted", msg="interrupted"), entry.result)
            return
        work.check()
        command, ref = _complete(entry)
        command = self.rules.bound(command)
        if entry.phase in COMMITTED:
            active = self.store.slots.active
            if active is None or active.model.deployment_id != work.id:
                raise ArtifactError("it did not load again after a restart", code="load_failed")
            await self._soak(work, command, dict(entry.result or {}))
            return
        self.trust.check(command)
        runtime = self.prover.runtime_for(command)
        await self._waiting.until_met(work, command)
        self.rules.check(command)
        present = await self._content(work, ref)
        self._moves.to(work.id, Phase.LOADING)
        session = await self.prover.load(self.store.path(ref.sha256, ref.format), runtime)
        work.check()
        self._moves.to(work.id, Phase.PROBING)
        measured = await self.prover.probe(session, command, work)
        work.check()
        result = {**measured.result, **session.loaded.result, "already_present": present}
        self._activate(entry, command, session, measured, runtime.name)
        self._moves.to(work.id, Phase.ACTIVE, result=result)
        await self._soak(work, command, result)

    async def _content(self, work: Work, ref: ArtifactRef) -> bool:
        """Have the verified bytes in the store; return whether they were there before."""
        self.contents.check_memory(ref)
        present = self.contents.present(ref)
        resumed = self.store.part(ref.sha256).exists()
        await self._download(work, ref, present=present)
        while True:
            work.check()
            self._moves.to(work.id, Phase.VERIFYING)
            try:
                await self.contents.verify(ref)
            except ArtifactError:
                if not (present or resumed):
                    raise
                present = resumed = False
                await self._download(work, ref, present=False)
                continue
            self._moves.to(work.id, Phase.STAGED, reason=HAD_IT if present else None)
            return present

    async def _download(self, work: Work, ref: ArtifactRef, *, present: bool) -> None:
        """Have the bytes here, as soon as the disk has room for them."""
        if present:
            self._moves.to(work.id, Phase.DOWNLOADING, reason=HAD_IT, progress=Progress(bytes=ref.size, total=ref.size))
            return
        while True:
            if self._moves.entry(work.id).phase is not Phase.VERIFYING:
                await self._waiting.until_room(work, ref)
            if self._moves.entry(work.id).phase is not Phase.DOWNLOADING:
                self._moves.to(work.id, Phase.DOWNLOADING, progress=Progress(bytes=0, total=ref.size))
            try:
                await self.contents.download(ref, work, lambda p: self._moves.note(work.id, progress=p))
            except StorageError as full:
                if full.code != "disk_full" or self._waiting.shortage(ref) is None:
                    raise
            else:
                return

    def _activate(self, entry: Entry, command: Command, session: Session, measured: Measured, runtime: str) -> None:
        """Make the model active on disk, then in the serving thread."""
        ref = command.artifact
        assert ref is not None
        model = ActiveModel(
            model=command.model or session.facts.model or ref.sha256[:12],
            artifact_sha256=ref.sha256.lower(),
            runtime=runtime,
            gen=entry.gen or 0,
            deployment_id=entry.id,
            provider=session.loaded.provider,
            threads=session.loaded.threads,
        )
        held = Held(model=model, format=ref.format, budget_mj=command.budget_mj)
        self.store.activate(held)
        self.server.swap(session, held, energy_mj=measured.energy_mj)
        self.server.want(running=True)

    async def _soak(self, work: Work, command: Command, result: dict[str, Any]) -> None:
        if self._moves.entry(work.id).phase is Phase.ACTIVE and command.soak_s > 0:
            self._moves.to(work.id, Phase.SOAKING)
        session = self.server.session
        if command.soak_s > 0 and session is not None:
            again = await self.prover.soak(session, command, work)
            result = {**result, **again.result, "probe": {k: v for k, v in result.items() if k != "probe"}}
        reason = f"{HAD_IT}, so nothing was downloaded" if result.get("already_present") else None
        self._moves.to(work.id, Phase.SUCCEEDED, result=result, reason=reason)

    def _told(self, command_id: str, unfit: UnfitError) -> UnfitError:
        """Return `unfit` with the word that the limit was the device's own, where its command allowed more."""
        command = self._moves.entry(command_id).command
        own = command is not None and self.rules.binds(unfit.code, command)
        return UnfitError(unfit.code, f"{unfit.reason}, the device's own limit", unfit.measured) if own else unfit

    async def load_apart(self, command: Command, work: Work) -> Session:
        """Return a session of the command's artifact without making it active; raises EdgeWattError, StoppedError."""
        ref = command.artifact
        assert ref is not None
        self.trust.check(command)
        runtime = self.prover.runtime_for(command)
        self.contents.check_memory(ref)
        if not self.contents.present(ref):
            await self.contents.download(ref, work, lambda p: self._moves.note(work.id, progress=p))
        await self.contents.verify(ref)
        return await self.prover.load(self.store.path(ref.sha256, ref.format), runtime)

    def tidy(self, *, but: str = "") -> None:
        """Remove what no slot, no quota, no ladder of the governor and no unfinished command besides `but` needs."""
        needed = _contents(e for e in self.journal.unfinished() if e.id != but) | self.governed()
        self.store.collect(needed=needed, keep_bytes=self.keep_bytes)

    def clear_ended(self) -> None:
        """Remove what commands left behind that had ended when the power went; a part that nobody knows stays."""
        ended = _contents(e for e in self.journal.newest() if e.terminal)
        needed = _contents(self.journal.unfinished()) | self.governed()
        self.store.collect(needed=needed, among=ended, keep_bytes=self.keep_bytes)


def _contents(entries: Iterable[Entry]) -> set[str]:
    """Return the SHA-256 of what `entries` are about."""
    commands = (entry.command for entry in entries)
    return {c.artifact.sha256.lower() for c in commands if c is not None and c.artifact is not None}


def _complete(entry: Entry) -> tuple[Command, ArtifactRef]:
    if entry.command is None or entry.command.artifact is None:
        raise ArtifactError("the command names no artifact", code="no_controller")
    return entry.command, entry.command.artifact
