"""Ends a deployment that must not go on, and goes back to the model before it."""

import contextlib
from dataclasses import dataclass, replace
from typing import Any

from broker.commands import ArtifactRef, Command, Fault
from broker.errors import EdgeWattError, StorageError
from broker.phases import Phase
from edge_agent.modelstore import Held, ModelStore
from edge_agent.moves import Moves
from edge_agent.proving import Prover, UnfitError
from edge_agent.runtimes.session import Session
from edge_agent.serving import Server
from edge_agent.work import Ending, Work

COMMITTED = frozenset({Phase.ACTIVE, Phase.SOAKING})
STOPPED = "the agent stopped"

_EARLY = frozenset({Phase.ACCEPTED, Phase.WAITING, Phase.DOWNLOADING})
_REFUSED_CODES = frozenset({"host_not_allowed", "no_runtime", "bad_artifact", "bad_signature", "local_policy"})
_TAKEN_BACK = frozenset({Phase.PROBING, *COMMITTED, Phase.ROLLING_BACK})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """Everything here may be done again after a StorageError: it goes on from what is on disk."""

    moves: Moves
    store: ModelStore
    prover: Prover
    server: Server

    async def roll_back(self, command_id: str, fault: Fault, result: dict[str, Any] | None = None) -> None:
        """Return to the model before, and say why: the first `fault`, when the way back had begun already."""
        entry = self.moves.entry(command_id)
        if entry.phase is Phase.ROLLING_BACK:
            fault = entry.error or fault
        else:
            known = {} if result is None else {"result": result}
            self.moves.to(command_id, Phase.ROLLING_BACK, reason=fault.msg, error=fault, **known)
        try:
            said = await self._restore(command_id)
        except StorageError:
            raise
        except EdgeWattError as error:
            self.server.swap(None, None)
            reason = f"{fault.msg}; the previous model does not run either: {error.message}"
            self.moves.to(command_id, Phase.ROLLBACK_FAILED, reason=reason, error=replace(fault, msg=reason))
            self.store.undeploy()
            return
        self.moves.to(command_id, Phase.ROLLED_BACK, reason=f"{fault.msg}; {said}", error=fault)

    async def stopped(self, work: Work) -> None:
        """End as somebody asked: what was made active and then cancelled goes again. The agent's own stop ends none."""
        ending, phase = work.ending, self.moves.entry(work.id).phase
        if ending is None:
            with contextlib.suppress(StorageError):
                self.moves.journal.note(work.id, now=self.moves.now(), reason=STOPPED)
        elif phase is Phase.ROLLING_BACK or (phase in COMMITTED and ending.phase is Phase.CANCELLED):
            await self.roll_back(work.id, ending.fault)
        else:
            self._end(work.id, ending)

    async def unfit(self, command_id: str, unfit: UnfitError) -> None:
        """Go back from a model that runs and must not stay, unless its command lets it."""
        entry = self.moves.entry(command_id)
        fault = Fault(code=unfit.code, msg=unfit.reason)
        result = {**(entry.result or {}), **(unfit.measured.result if unfit.measured else {})}
        if entry.command is not None and entry.command.on_fail == "stay":
            self.moves.to(command_id, Phase.FAILED, reason=unfit.reason, error=fault, result=result)
        else:
            await self.roll_back(command_id, fault, result)

    async def failed(self, command_id: str, error: EdgeWattError) -> None:
        """End with `error`; what cannot be loaded is not kept."""
        said = f"{error.message} ({error.hint})" if error.hint else error.message
        fault = Fault(code=error.code, msg=said, retryable=bool(error.facts.get("retryable")))
        entry = self.moves.entry(command_id)
        if entry.phase in _TAKEN_BACK:
            await self.roll_back(command_id, fault)
            return
        refused = entry.phase in _EARLY and error.code in _REFUSED_CODES
        self._end(command_id, Ending(Phase.REJECTED if refused else Phase.FAILED, fault))
        if error.code == "load_failed" and entry.command is not None and entry.command.artifact is not None:
            self.store.remove(entry.command.artifact.sha256)

    async def serve(self, held: Held) -> None:
        """Load `held` and serve it; raises ArtifactError, RuntimeUnavailableError."""
        self.server.swap(await self.load(held), held)

    async def load(self, held: Held) -> Session:
        """Return a session of a model on the device; raises ArtifactError, RuntimeUnavailableError."""
        model = held.model
        ref = ArtifactRef(url="", sha256=model.artifact_sha256, size=0, format=held.format)
        runtime = self.prover.runtime_for(Command(op="deploy", artifact=ref))
        return await self.prover.load(self.store.path(model.artifact_sha256, held.format), runtime)

    async def _restore(self, command_id: str) -> str:
        """Serve the model before if the new one had been made active; return what runs now, in words."""
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

    def _end(self, command_id: str, ending: Ending) -> None:
        self.moves.to(command_id, ending.phase, reason=ending.fault.msg, error=ending.fault)
