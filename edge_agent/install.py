"""The device's half of a deployment: one step after the other, each written down before it is told."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from broker.commands import ArtifactRef, Command, Fault, Progress
from broker.errors import ArtifactError, EdgeWattError, StorageError
from broker.messages import ActiveModel, PowerState
from broker.phases import Phase
from edge_agent.bench import Measured
from edge_agent.conditions import unmet
from edge_agent.content import Contents
from edge_agent.journal import Entry, Journal
from edge_agent.modelstore import Held, ModelStore
from edge_agent.proving import Prover, UnfitError
from edge_agent.runtimes.session import Session
from edge_agent.serving import Server
from edge_agent.trust import Trust
from edge_agent.work import Ending, StoppedError, Work

MOST_CRASHES = 3
"""Reboots in the middle of loading or probing that prove a model unfit."""

RISKY = frozenset({Phase.LOADING, Phase.PROBING})
COMMITTED = frozenset({Phase.ACTIVE, Phase.SOAKING})
_REFUSED_CODES = frozenset({"host_not_allowed", "no_runtime", "bad_artifact", "bad_signature", "bad_window"})

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installer:
    """Everything a deployment touches; `news` hears each entry after it is on disk."""

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

    async def run(self, work: Work) -> None:
        """Bring the deployment `work.id` from wherever the journal says it is to its end."""
        try:
            await self._steps(work)
        except StoppedError:
            await self._stopped(work)
        except UnfitError as unfit:
            await self._unfit(work.id, unfit)
        except EdgeWattError as error:
            await self._fault(work.id, error)
        finally:
            self.tidy()

    async def roll_back(self, command_id: str, fault: Fault, result: dict[str, Any] | None = None) -> None:
        """Return to the model before, and say why; also the end of a crash loop."""
        if self._entry(command_id).phase is not Phase.ROLLING_BACK:
            known = {} if result is None else {"result": result}
            self._move(command_id, Phase.ROLLING_BACK, reason=fault.msg, error=fault, **known)
        try:
            said = await self._restore(command_id)
        except EdgeWattError as error:
            self.server.swap(None, None)
            reason = f"{fault.msg}; the previous model does not run either: {error.message}"
            self._move(command_id, Phase.ROLLBACK_FAILED, reason=reason, error=replace(fault, msg=reason))
            self.store.undeploy()
            return
        self._move(command_id, Phase.ROLLED_BACK, reason=f"{fault.msg}; {said}", error=fault)

    async def end(self, command_id: str, ending: Ending) -> None:
        """End a deployment as somebody asked; a model that was made active and then cancelled goes again."""
        if self._entry(command_id).phase in COMMITTED and ending.phase is Phase.CANCELLED:
            await self.roll_back(command_id, ending.fault)
        else:
            self._move(command_id, ending.phase, reason=ending.fault.msg, error=ending.fault)

    def crashed(self, entry: Entry) -> bool:
        """Whether `entry` was cut off in a step that may itself have been the cause; a clean stop was not."""
        return entry.phase in RISKY and entry.reason != "the agent stopped"

    async def _steps(self, work: Work) -> None:
        entry = self._entry(work.id)
        if entry.phase is Phase.ROLLING_BACK:
            fault = entry.error or Fault(code="interrupted", msg="interrupted")
            await self.roll_back(work.id, fault, entry.result)
            return
        work.check()
        command, ref = _complete(entry)
        if entry.phase in COMMITTED:
            await self._soak(work, command, dict(entry.result or {}))
            return
        self.trust.check(command)
        runtime = self.prover.runtime_for(command)
        await self._conditions(work, command)
        present = await self._content(work, ref)
        self._move(work.id, Phase.LOADING)
        session = await self.prover.load(self.store.path(ref.sha256, ref.format), runtime)
        work.check()
        self._move(work.id, Phase.PROBING)
        measured = await self.prover.probe(session, command, work)
        work.check()
        result = {**measured.result, **session.loaded.result, "already_present": present}
        self._activate(entry, command, session, measured, runtime.name)
        self._move(work.id, Phase.ACTIVE, result=result)
        await self._soak(work, command, result)

    async def _conditions(self, work: Work, command: Command) -> None:
        """Wait as long as the command's conditions are not met."""
        while True:
            clock = datetime.fromtimestamp(self.now()).astimezone().time()
            missing = unmet(command.when, self.power(), clock)
            if missing is None:
                return
            entry = self._entry(work.id)
            if entry.phase is not Phase.WAITING:
                self._move(work.id, Phase.WAITING, reason=missing)
            elif entry.reason != missing:
                self.news(self.journal.note(work.id, now=self.now(), reason=missing))
            await work.rest(self.poll_s)

    async def _content(self, work: Work, ref: ArtifactRef) -> bool:
        """Have the verified bytes in the store; return whether they were there before."""
        present = self.contents.present(ref)
        resumed = self.store.part(ref.sha256).exists()
        self._download_step(work.id, ref, present=present)
        while True:
            if not present:
                await self.contents.download(ref, work, lambda p: self._progress(work.id, p))
            work.check()
            self._move(work.id, Phase.VERIFYING)
            try:
                await self.contents.verify(ref)
            except ArtifactError:
                if not (present or resumed):
                    raise
                present = resumed = False
                self._download_step(work.id, ref, present=False)
                continue
            self._move(work.id, Phase.STAGED, reason="already on the device" if present else None)
            return present

    def _download_step(self, command_id: str, ref: ArtifactRef, *, present: bool) -> None:
        have = ref.size if present else 0
        reason = "already on the device" if present else None
        self._move(command_id, Phase.DOWNLOADING, reason=reason, progress=Progress(bytes=have, total=ref.size))

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
        if self._entry(work.id).phase is Phase.ACTIVE and command.soak_s > 0:
            self._move(work.id, Phase.SOAKING)
        session = self.server.session
        if command.soak_s > 0 and session is not None:
            again = await self.prover.soak(session, command, work)
            result = {**result, **again.result, "probe": {k: v for k, v in result.items() if k != "probe"}}
        self._move(work.id, Phase.SUCCEEDED, result=result)

    async def _restore(self, command_id: str) -> str:
        """Serve the previous model if the new one had been made active; return what runs now, in words."""
        active = self.store.slots.active
        if active is None:
            return "no model is active"
        if active.model.deployment_id != command_id:
            if self.server.session is None:
                await self.serve(active)
            return f"{active.model.model} stays active"
        before = self.store.fall_back()
        if before is None:
            self.server.swap(None, None)
            return "there was no model before, so none is active"
        await self.serve(before)
        return f"back to {before.model.model}"

    async def serve(self, held: Held) -> None:
        """Load `held` and serve it; raises ArtifactError, RuntimeUnavailableError."""
        self.server.swap(await self.load(held), held)

    async def load(self, held: Held) -> Session:
        """Return a session of a model on the device; raises ArtifactError, RuntimeUnavailableError."""
        model = held.model
        ref = ArtifactRef(url="", sha256=model.artifact_sha256, size=0, format=held.format)
        runtime = self.prover.runtime_for(Command(op="deploy", artifact=ref))
        return await self.prover.load(self.store.path(model.artifact_sha256, held.format), runtime)

    async def load_apart(self, command: Command, work: Work) -> Session:
        """Return a session of the command's artifact without making it active; raises EdgeWattError, StoppedError."""
        ref = command.artifact
        assert ref is not None
        self.trust.check(command)
        runtime = self.prover.runtime_for(command)
        if not self.contents.present(ref):
            await self.contents.download(ref, work, lambda p: self._progress(work.id, p))
        await self.contents.verify(ref)
        return await self.prover.load(self.store.path(ref.sha256, ref.format), runtime)

    def tidy(self, *, but: str = "") -> None:
        """Remove what no slot, no ladder of the governor and no unfinished command besides `but` needs."""
        needed = _contents(e for e in self.journal.unfinished() if e.id != but)
        self.store.collect(needed=needed | self.governed())

    def clear_ended(self) -> None:
        """Remove what commands left behind that had ended when the power went; a part that nobody knows stays."""
        ended = _contents(e for e in self.journal.newest() if e.terminal)
        self.store.collect(needed=_contents(self.journal.unfinished()) | self.governed(), among=ended)

    async def _unfit(self, command_id: str, unfit: UnfitError) -> None:
        entry = self._entry(command_id)
        fault = Fault(code=unfit.code, msg=unfit.reason)
        result = {**(entry.result or {}), **(unfit.measured.result if unfit.measured else {})}
        if entry.command is not None and entry.command.on_fail == "stay":
            self._move(command_id, Phase.FAILED, reason=unfit.reason, error=fault, result=result)
        else:
            await self.roll_back(command_id, fault, result)

    async def _stopped(self, work: Work) -> None:
        if work.ending is None:
            self.journal.note(work.id, now=self.now(), reason="the agent stopped")
        else:
            await self.end(work.id, work.ending)

    async def _fault(self, command_id: str, error: EdgeWattError) -> None:
        """End with `error`, as soon as the disk takes the end down."""
        fault = Fault(code=error.code, msg=_sentence(error), retryable=bool(error.facts.get("retryable")))
        while True:
            try:
                if self._entry(command_id).phase in {Phase.PROBING, *COMMITTED, Phase.ROLLING_BACK}:
                    await self.roll_back(command_id, fault)
                else:
                    self._failed(command_id, error, fault)
            except StorageError as full:
                log.warning("cannot write the end of %s: %s", command_id, full.message)
                await asyncio.sleep(self.poll_s)
            else:
                return

    def _failed(self, command_id: str, error: EdgeWattError, fault: Fault) -> None:
        """End with `fault`; what cannot be loaded is not kept."""
        entry = self._entry(command_id)
        early = entry.phase in (Phase.ACCEPTED, Phase.WAITING, Phase.DOWNLOADING)
        phase = Phase.REJECTED if early and error.code in _REFUSED_CODES else Phase.FAILED
        self._move(command_id, phase, reason=fault.msg, error=fault)
        if error.code == "load_failed" and entry.command is not None and entry.command.artifact is not None:
            self.store.remove(entry.command.artifact.sha256)

    def _progress(self, command_id: str, progress: Progress) -> None:
        if not self._entry(command_id).terminal:
            self.news(self.journal.note(command_id, now=self.now(), progress=progress))

    def _move(self, command_id: str, phase: Phase, **changes: Any) -> None:
        entry = self.journal.move(command_id, phase, now=self.now(), **changes)
        log.info("%s %s %s %s", entry.op, command_id, phase, entry.reason or "", extra={"cmd_id": command_id})
        self.news(entry)

    def _entry(self, command_id: str) -> Entry:
        entry = self.journal.get(command_id)
        assert entry is not None
        return entry


def _contents(entries: Iterable[Entry]) -> set[str]:
    """Return the SHA-256 of what `entries` are about."""
    commands = (entry.command for entry in entries)
    return {c.artifact.sha256.lower() for c in commands if c is not None and c.artifact is not None}


def _complete(entry: Entry) -> tuple[Command, ArtifactRef]:
    if entry.command is None or entry.command.artifact is None:
        raise ArtifactError("the command names no artifact", code="no_controller")
    return entry.command, entry.command.artifact


def _sentence(error: EdgeWattError) -> str:
    return f"{error.message} ({error.hint})" if error.hint else error.message
