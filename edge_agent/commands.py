"""Does what a person may ask besides a deployment; each op answers with a small document."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from broker.commands import OPS, Command, Fault, Probe
from broker.errors import ConflictError, EdgeWattError, InvalidError, StorageError
from broker.phases import Phase
from broker.wire import document
from edge_agent.admission import tombstone
from edge_agent.cadence import Cadence
from edge_agent.governing import Governor
from edge_agent.inputs.numbers import flat
from edge_agent.insisting import insist
from edge_agent.install import Installer
from edge_agent.journal import Entry, Journal
from edge_agent.lane import Lane
from edge_agent.loglines import LogLines
from edge_agent.modelstore import Held
from edge_agent.outgoing import Outgoing
from edge_agent.reporting import Reporter, current_entry
from edge_agent.runtimes.session import Session
from edge_agent.work import Ending, StoppedError, Work

ALONE = frozenset({"rollback", "undeploy", "bench"})
"""Ops that must not run beside a deployment."""

EARLY = frozenset({Phase.ACCEPTED, Phase.WAITING, Phase.DOWNLOADING, Phase.VERIFYING, Phase.STAGED})
"""Steps of a deployment that leave the running model alone."""

LOG_LINES = 50
SHOWN_VALUES = 32

Handler = Callable[[Command, Work], Awaitable[dict[str, Any]]]


@dataclass(slots=True, kw_only=True)
class Commands:
    """What the ops act on; `restart` is set when the agent has to begin anew."""

    journal: Journal
    installer: Installer
    reporter: Reporter
    outgoing: Outgoing
    lane: Lane
    cadence: Cadence
    governor: Governor
    log_lines: LogLines
    stop: asyncio.Event
    restart: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, command: Command, work: Work) -> None:
        """Do `command`, whose entry is accepted, and write how it ended."""
        handler: Handler = getattr(self, f"op_{command.op}")
        try:
            result = await handler(command, work)
        except StoppedError:
            ending = work.ending or Ending(Phase.FAILED, Fault(code="interrupted", msg="the agent stopped"))
            await self._end(work.id, ending.phase, reason=ending.fault.msg, error=ending.fault)
        except EdgeWattError as error:
            fault = Fault(code=error.code, msg=f"{error.message} ({error.hint})" if error.hint else error.message)
            await self._end(work.id, Phase.FAILED, reason=fault.msg, error=fault)
        else:
            await self._end(work.id, Phase.SUCCEEDED, result=result)
            if command.op == "restart":
                self.restart.set()
                self.stop.set()

    def cancel(self, target: str, command: Command) -> Entry | None:
        """End `target` for the reason in `command`; return its entry, None when nothing is known of it.

        How it is to end is on disk when this returns, so that a reboot does not begin it again; on a full disk the end
        is written as soon as there is room.
        """
        entry = self.journal.get(target)
        if entry is None or entry.terminal:
            return entry
        refused = command.code is not None and entry.command is not None and entry.command.is_request
        said = command.reason or "cancelled on request"
        fault = Fault(code=command.code or "cancelled", msg=said)
        ending = Ending(Phase.REJECTED if refused else Phase.CANCELLED, fault)
        if entry.ending is None:
            with contextlib.suppress(StorageError):
                self.journal.note(target, now=self.reporter.now(), ending=ending)
        self.lane.end([target], ending)
        return entry

    async def op_ping(self, _command: Command, _work: Work) -> dict[str, Any]:
        """Say that someone is there."""
        return {"session": self.reporter.identity.session, "ts": self.reporter.now()}

    async def op_info(self, _command: Command, _work: Work) -> dict[str, Any]:
        """Say again who we are and how we stand."""
        self.outgoing.renew_info()
        return dict(document(self.reporter.info()))

    async def op_start(self, _command: Command, _work: Work) -> dict[str, Any]:
        """Let the active model run."""
        return self._run_model(running=True)

    async def op_stop(self, _command: Command, _work: Work) -> dict[str, Any]:
        """Let the active model rest."""
        return self._run_model(running=False)

    async def op_rollback(self, _command: Command, _work: Work) -> dict[str, Any]:
        """Exchange the active model and the previous one."""
        if self.installer.store.slots.previous is None:
            raise ConflictError("there is no previous model", code="no_previous")
        before = self.installer.store.swap_back()
        assert before is not None
        try:
            await self.installer.fallback.serve(before)
        except EdgeWattError:
            self.installer.store.swap_back()
            raise
        return {"active": before.model.model}

    async def op_undeploy(self, _command: Command, _work: Work) -> dict[str, Any]:
        """Run no model; the one that ran stays on disk as the previous one."""
        gone = self._active()
        store = self.installer.store
        self.installer.server.swap(None, None)
        store.undeploy()
        return {"active": None, "previous": gone.model.model}

    async def op_infer(self, command: Command, _work: Work) -> dict[str, Any]:
        """Run one inference now: on `input`, a list of numbers, or on the next sample."""
        values = None if command.input is None else flat(command.input)
        ran, answer, energy_mj = await asyncio.to_thread(self.installer.server.infer, values)
        shown = [round(float(v), 6) for v in ran.output.reshape(-1)[:SHOWN_VALUES]]
        source = self.installer.server.source
        energy = {} if energy_mj is None else {"energy_mj": round(energy_mj, 4), "energy_source": source}
        return {"latency_ms": round(ran.wall_s * 1e3, 4), "answer": document(answer), "output": shown, **energy}

    async def op_bench(self, command: Command, work: Work) -> dict[str, Any]:
        """Measure the active model, or an artifact, and leave what is active alone."""
        installer, probe = self.installer, command.probe or Probe()
        if command.artifact is None:
            held, session = installer.server.held or self._active(), installer.server.session
            if session is None or command.model not in (None, held.model.model):
                raise ConflictError(f"{command.model or held.model.model} is not running here", code="no_model")
            return await self._benchmarked(held.model.model, session, probe, work)
        try:
            session = await installer.load_apart(command, work)
            return await self._benchmarked(command.model, session, probe, work)
        finally:
            installer.tidy(but=work.id)

    async def op_config(self, command: Command, _work: Work) -> dict[str, Any]:
        """Change `interval_s`, `rate` or the `governor`."""
        if not command.config:
            raise InvalidError("nothing to change", code="bad_config", hint='send {"op":"config","config":{"rate":2}}')
        return self.configure(command.config)

    async def op_cancel(self, command: Command, _work: Work) -> dict[str, Any]:
        """End a command; one that has not come yet is refused when it comes."""
        current = current_entry([e for e in self.journal.newest() if e.id != command.id])
        target = command.target or (current.id if current else None)
        if target is None:
            raise ConflictError("nothing is at work", code="nothing_to_cancel")
        entry = self.cancel(target, command)
        if entry is None:
            self.journal.put(tombstone(target, now=self.reporter.now(), reason=command.reason))
            return {"target": target, "known": False}
        if entry.terminal:
            raise ConflictError(f"{target} has ended: {entry.phase}", code="already_ended")
        return {"target": target, "was": entry.phase.value}

    async def op_logs(self, _command: Command, _work: Work) -> dict[str, Any]:
        """Return the newest log lines."""
        return {"lines": [document(line) for line in tuple(self.log_lines.newest)[-LOG_LINES:]]}

    async def op_restart(self, _command: Command, _work: Work) -> dict[str, Any]:
        """Begin anew as a new process."""
        return {"session": self.reporter.identity.session}

    async def op_help(self, _command: Command, _work: Work) -> dict[str, Any]:
        """Say what this agent accepts."""
        says = {op: getattr(self, f"op_{op}", self.run).__doc__ for op in OPS if op != "deploy"}
        example = '{"op":"deploy","model":"mobilenetv3_small_075","max_energy_mj":360}'
        return {"ops": {**says, "deploy": "Install a model under an energy budget."}, "example": example}

    def configure(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Put a new pace or ladder in force, and return both; raises InvalidError, and then changes nothing."""
        rest = {name: value for name, value in wanted.items() if name != "governor"}
        standing = self.governor.understood(wanted["governor"]) if "governor" in wanted else None
        pace = self.cadence.change(rest)
        if standing is not None:
            self.governor.install(standing)
        self.governor.step()
        self.outgoing.renew_status()
        governor = document(self.governor.state)
        return {**document(pace), **({} if governor is None else {"governor": governor})}

    async def _benchmarked(self, model: str | None, session: Session, probe: Probe, work: Work) -> dict[str, Any]:
        figures = (await self.installer.prover.benchmark(session, probe, work)).result
        return {"model": model, **figures, **session.loaded.result}

    def _run_model(self, *, running: bool) -> dict[str, Any]:
        held = self._active()
        self.installer.store.set_stopped(not running)
        self.installer.server.want(running)
        return {"active": held.model.model, "inference_active": running}

    def _active(self) -> Held:
        held = self.installer.store.slots.active
        if held is None:
            raise ConflictError("no model is active", code="no_model", hint="deploy one first")
        return held

    async def _end(self, command_id: str, phase: Phase, **changes: Any) -> None:
        async def write() -> None:
            self.outgoing.ack(self.journal.move(command_id, phase, now=self.reporter.now(), **changes).ack())

        await insist(write, every_s=self.installer.poll_s)


def needs_what_runs(entry: Entry) -> bool:
    """Return whether the command of `entry`, which has not ended, must find the model running that it knows of."""
    return entry.op in ALONE or (entry.op == "deploy" and entry.phase not in EARLY)
