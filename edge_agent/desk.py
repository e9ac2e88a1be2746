"""Takes commands in: each is understood, written down, answered, and begun."""

import contextlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeGuard

from broker.commands import Ack, Command, Desired, Fault, hand_typed_id
from broker.conditions import check_deploy
from broker.errors import EdgeWattError, InvalidError, StorageError, WireError
from broker.phases import Phase
from broker.wire import MOST_ID_CHARACTERS, decode, decode_command
from edge_agent.admission import HAND_TYPED_MEMORY_S, Arrival, Complete, Refuse, Repeat, decide
from edge_agent.commands import ALONE, Commands
from edge_agent.insisting import insist
from edge_agent.install import Installer
from edge_agent.journal import Entry, Journal
from edge_agent.lane import Lane
from edge_agent.outgoing import Outgoing
from edge_agent.reporting import Reporter
from edge_agent.work import Ending, StoppedError, Work

NO_CONTROLLER_S = 120.0
"""How long a request by name waits while no controller is in sight; one that is may have to make the model first."""

ANSWER_S = 86_400.0
"""How long it waits in all: the controller's own deadline for a deployment."""

MOST_TYPED = 1_000
"""Typed commands whose moment is remembered, the oldest forgotten first."""

LOOKS = 20
"""How often within that time the desk looks out for the controller."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What admission needs; nothing here takes long: work goes to the lane."""

    journal: Journal
    installer: Installer
    commands: Commands
    lane: Lane
    outgoing: Outgoing
    reporter: Reporter
    now: Callable[[], float]
    clock_is_set: Callable[[], bool]
    controller_in_sight: Callable[[], bool]
    no_controller_s: float = NO_CONTROLLER_S
    steady: Callable[[], float] = time.monotonic
    typed_at: dict[str, float] = field(default_factory=dict)

    def receive(self, payload: bytes, *, retained: bool = False) -> None:
        """Take in a command as it came; when this returns, it is on disk or refused."""
        if not payload:
            return
        try:
            command = _understood(payload)
        except WireError as error:
            self._refuse(*_claimed(payload), error)
            return
        typed = command.id is None
        known = replace(command, id=hand_typed_id(payload)) if typed else command
        apart_s = self._apart_s(known.id or "") if typed else None
        self._admit(Arrival(command=known, at=self.now(), hand_typed=typed, retained=retained, apart_s=apart_s))

    def desire(self, payload: bytes) -> None:
        """Converge to the retained slot: its deploy is a command like any other, its config counts once per gen."""
        if not payload:
            return
        try:
            desired = decode(Desired, payload)
        except WireError as error:
            self._count(error.code, f"desired: {error.message}")
            return
        deploy = desired.deploy
        if deploy is not None and deploy.id is not None and deploy.op == "deploy":
            gen = deploy.gen if deploy.gen is not None else desired.gen
            self._admit(Arrival(command=replace(deploy, gen=gen), at=self.now(), retained=True))
        self._desire_config(desired)

    def resume(self, entry: Entry) -> None:
        """Begin the work of an entry that is on disk; also after a reboot."""
        command = entry.command
        if command is None:
            return
        if command.op != "deploy":
            self._perform(entry.id, command)
        elif command.is_request:
            self.lane.begin(entry.id, self._wait_for_controller, alone=False)
        else:
            self._supersede_others(entry)
            self.lane.begin(entry.id, self.installer.run)
        if entry.ending is not None:
            self.lane.end([entry.id], entry.ending)

    def _apart_s(self, command_id: str) -> float | None:
        """Return how long ago these words began a command in this boot: the wall clock may be set in between."""
        now, before = self.steady(), self.typed_at.get(command_id)
        if before is None or now - before >= HAND_TYPED_MEMORY_S:
            self.typed_at.pop(command_id, None)
            self.typed_at[command_id] = now
        if len(self.typed_at) > MOST_TYPED:
            del self.typed_at[next(iter(self.typed_at))]
        return None if before is None else now - before

    def _admit(self, arrival: Arrival) -> None:
        try:
            self._take_in(arrival)
        except Exception as bug:
            # it would take the agent down again each time the broker sends the command once more
            log.exception("%s met a bug", arrival.id)
            internal = InvalidError(f"{type(bug).__name__}: {bug}", code="internal", hint="the agent's log says where")
            self._refuse(arrival.id, arrival.command.op, internal)

    def _take_in(self, arrival: Arrival) -> None:
        command = arrival.command
        earlier = self.journal.get(arrival.id)
        if command.op == "cancel" and command.target is None and earlier is not None and earlier.op != "cancel":
            self.commands.cancel(earlier.id, command)
            return
        decision = decide(arrival, earlier, gen=self.installer.store.slots.gen)
        if isinstance(decision, Repeat):
            self.outgoing.ack(decision.entry.ack())
            return
        if isinstance(decision, Refuse):
            self._count("id_conflict", decision.ack.reason or "")
            self.outgoing.ack(decision.ack)
            return
        try:
            entry = self._write(decision.entry, command)
        except (StorageError, WireError) as error:
            self._refuse(arrival.id, command.op, error)
            return
        if isinstance(decision, Complete):
            self.lane.end([entry.id], None)
        self.outgoing.ack(entry.ack())
        if entry.terminal:
            return
        if command.op == "deploy":
            self.resume(entry)
        else:
            self._perform(entry.id, command)

    def _write(self, entry: Entry, command: Command) -> Entry:
        """Put `entry` on disk; what is not to be begun is written as ended, so that no reboot can begin it.

        Its generation goes first: an entry that is on disk is worked on, whatever the disk refuses after it.
        """
        ending = None if entry.terminal else self._ending(entry, command)
        if ending is not None:
            fault = ending.fault
            return self.journal.put(replace(entry, phase=ending.phase, reason=fault.msg, error=fault))
        if not entry.terminal and command.op in ("deploy", "rollback", "undeploy") and not command.is_request:
            self.installer.store.raise_gen(entry.gen)
        return self.journal.put(entry)

    def _ending(self, entry: Entry, command: Command) -> Ending | None:
        """Return how a command ends that makes no sense, is not allowed here, or whose time or generation is over."""
        try:
            self.installer.rules.check(command)
            if command.op != "deploy":
                return None
            check_deploy(command)
        except EdgeWattError as error:
            return Ending(Phase.REJECTED, Fault(code=error.code, msg=_sentence(error)))
        if self._expired(command):
            return Ending(Phase.EXPIRED, Fault(code="expired", msg=f"it was valid for {command.ttl_s:.0f} s"))
        gen = self.installer.store.slots.gen
        if entry.gen is not None and entry.gen < gen:
            said = f"generation {entry.gen} is older than {gen}"
            return Ending(Phase.SUPERSEDED, Fault(code="superseded", msg=said))
        return None

    def _expired(self, command: Command) -> bool:
        """Whether the command is too old, which only a device whose clock was set may say."""
        if command.ts is None or command.ttl_s is None or not self.clock_is_set():
            return False
        return self.now() > command.ts + command.ttl_s

    def _supersede_others(self, entry: Entry) -> None:
        said = f"generation {entry.gen} came"
        older = [
            e.id
            for e in self.journal.unfinished()
            if e.id != entry.id and e.op == "deploy" and e.command is not None and not e.command.is_request
        ]
        self.lane.end(older, Ending(Phase.SUPERSEDED, Fault(code="superseded", msg=said)))

    def _perform(self, command_id: str, command: Command) -> None:
        async def job(work: Work) -> None:
            await self.commands.run(command, work)

        self.lane.begin(command_id, job, alone=command.op in ALONE)

    async def _wait_for_controller(self, work: Work) -> None:
        """Wait until the request `work.id` is completed or cancelled, as long as the deadline allows."""
        entry = self.journal.get(work.id)
        if entry is not None and entry.phase is Phase.ACCEPTED:
            with contextlib.suppress(StorageError):  # the controller hears the request itself
                waiting = self.journal.move(work.id, Phase.WAITING, now=self.now(), reason="controller")
                self.outgoing.ack(waiting.ack())
        try:
            said = await self._rest_while_in_sight(work)
        except StoppedError:
            ending = work.ending
        else:
            ending = Ending(Phase.FAILED, Fault(code="no_controller", msg=said, retryable=True))
        if ending is not None:
            await insist(lambda: self._written(work.id, ending), every_s=self.installer.poll_s)

    async def _written(self, command_id: str, ending: Ending) -> None:
        fault = ending.fault
        ended = self.journal.move(command_id, ending.phase, now=self.now(), reason=fault.msg, error=fault)
        self.outgoing.ack(ended.ack())

    async def _rest_while_in_sight(self, work: Work) -> str:
        """Wait until no controller was in sight for its time, or one that was took too long; return which.

        Raises StoppedError when `work` ends.
        """
        look_s, unseen_s, waited_s = self.no_controller_s / LOOKS, 0.0, 0.0
        while unseen_s < self.no_controller_s:
            if waited_s >= ANSWER_S:
                return f"the controller did not answer within {ANSWER_S / 3_600:.0f} h"
            await work.rest(look_s)
            waited_s += look_s
            unseen_s = 0.0 if self.controller_in_sight() else unseen_s + look_s
        return f"no controller answered within {self.no_controller_s:.0f} s"

    def _desire_config(self, desired: Desired) -> None:
        store = self.installer.store
        if desired.gen <= store.slots.desired_gen or not desired.config:
            return
        try:
            store.put(replace(store.slots, desired_gen=desired.gen))
            self.commands.configure(desired.config)
        except EdgeWattError as error:
            self._count(error.code, f"desired config: {error.message}")

    def _refuse(self, command_id: str, op: str, error: EdgeWattError) -> None:
        """Answer what is no command, or cannot be kept.

        Attempt 0 and seq 0, so that nobody takes it as news of another one.
        """
        self._count(error.code, error.message)
        said = _sentence(error)
        fault = Fault(code=error.code, msg=said)
        rejected = Ack(
            id=command_id, op=op, state=Phase.REJECTED, attempt=0, seq=0, ts=self.now(), reason=said, error=fault
        )
        self.outgoing.ack(rejected)

    def _count(self, reason: str, said: str) -> None:
        self.reporter.refused[reason] += 1
        self.outgoing.renew_state()
        log.warning("refused (%s): %s", reason, said[:200])


def _understood(payload: bytes) -> Command:
    """Return the command in `payload`; raises WireError, also for a deploy that names no model."""
    try:
        command = decode_command(payload)
        command.fingerprint  # noqa: B018 - nesting that Python cannot follow shows here, before anything is written
    except RecursionError:
        raise WireError("nested too deeply", hint="send JSON as the contract describes it") from None
    if command.is_request and not (command.model or "").strip():
        hint = '{"op":"deploy","model":"digits_cnn_s","max_energy_mj":40}'
        raise WireError("a deploy needs the name of a model, or an artifact", code="no_model_named", hint=hint)
    return command


def _sentence(error: EdgeWattError) -> str:
    return f"{error.message} ({error.hint})" if error.hint else error.message


def _claimed(payload: bytes) -> tuple[str, str]:
    """Return the id and the op that a refused payload names, as far as they can be read."""
    try:
        raw = json.loads(payload[:65_536])
    except (ValueError, RecursionError):
        raw = None
    word = payload.strip()
    found = raw if isinstance(raw, dict) else {"op": word.decode("ascii")} if word.isalpha() else {}
    command_id, op = found.get("id"), found.get("op")
    if not _is_word(command_id) or not 0 < len(command_id) <= MOST_ID_CHARACTERS:
        command_id = hand_typed_id(payload)
    return command_id, op[:40] if _is_word(op) else "unknown"


def _is_word(value: Any) -> TypeGuard[str]:
    """Return whether `value` is a text that can be said again; half of a surrogate pair cannot."""
    return isinstance(value, str) and value.isprintable()
