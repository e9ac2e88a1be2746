"""What devices and people say on the bus, one method a topic: checked, stored, passed to the life of deployments."""

import json
import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from broker.commands import Ack, Fault
from broker.errors import EdgeWattError, StorageError, WireError
from broker.link import Packet
from broker.messages import LogLine, State, Telemetry
from broker.phases import TERMINAL, Phase
from broker.topics import ACK, CMD, CONTROLLER_STATUS, INFO, LOG, STATE, STATUS, TELEMETRY, Route, parse, talker
from broker.wire import document
from controller.adoption import Adoption, asks_us, is_typed_again
from controller.deployment import Deployment, Heard
from controller.doing import stepped
from controller.inspector import Inspector
from controller.introduction import changes
from controller.patience import DEADLINE_S
from controller.presence import Presence
from controller.service import Service
from controller.storage.database import VALUE_REFUSED
from controller.storage.readings import Newest
from controller.stream import Stream
from controller.telemetry.live import Live
from controller.telemetry.samples import Samples

logger = logging.getLogger(__name__)

KEPT_BYTES = 2_000
MOST_TOLD = 100_000
"""Commands of which the newest word of a reported state is remembered, so that the next state is read quickly."""

TRIMMED_EVERY = 100
"""Lines of a device's log that may be too many for a while."""


@dataclass(slots=True, kw_only=True)
class Hearing:
    """Turns packets into stored facts; call it inside a transaction, then `flush`."""

    service: Service
    approve_new: bool = True
    live: Live = field(default_factory=Live)
    received: int = 0
    last_at: float | None = None
    inspector: Inspector = field(default_factory=Inspector)
    _adoption: Adoption = field(init=False)
    _presence: Presence = field(init=False)
    _counts: Counter[str] = field(default_factory=Counter)
    _lines: Counter[str] = field(default_factory=Counter)
    _stream: Stream = field(init=False)
    samples: Samples = field(init=False)
    _told: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take up typed commands through the same service."""
        self._adoption = Adoption(service=self.service)
        self._presence = Presence(service=self.service)
        self._stream = Stream(self.service.store)
        self.samples = Samples(self.service.store, self.live)

    def hear(self, packet: Packet, at: float) -> bool:
        """Take in one packet; what is outside the contract is counted, kept for inspection, and changes nothing.

        Return whether it was another word than telemetry of a device that is known.
        """
        self.received += 1
        self.last_at = at
        talking = talker(packet.topic)
        known = None if talking is None else self.service.store.known(talking)
        if known is None:
            if packet.payload and packet.topic != CONTROLLER_STATUS:
                self._hear_word(packet, at)
            return True
        if packet.payload:
            self._hear_sample(known, packet, at)
        return False

    def _hear_word(self, packet: Packet, at: float) -> None:
        store, device_id = self.service.store, "?"
        try:
            device_id, route = parse(packet.topic)
            known = store.known(device_id)
            device_id = known or device_id
            message = route.decode(packet.payload)
        except WireError as error:
            self._refuse(device_id, packet, error, at)
            return
        if known or route is not CMD:
            self.inspector.keep(device_id, route.suffix, packet, at)
        try:
            with store.savepoint():
                self._dispatch(device_id, route, message, packet, at)
        except EdgeWattError as error:
            if isinstance(error, StorageError) and error.code != VALUE_REFUSED:
                raise
            self._refuse(device_id, packet, error, at)

    def _hear_sample(self, device_id: str, packet: Packet, at: float) -> None:
        try:
            self.samples.take(device_id, packet.payload, at)
        except WireError as error:
            self._refuse(device_id, packet, error, at)
        else:
            self.inspector.keep(device_id, TELEMETRY.suffix, packet, at)

    def flush(self) -> Newest:
        """Write what was gathered: samples in one statement, counts, each device's newest reading; return the last."""
        self._counts["clock_off"] += self.samples.clock_off
        newest, refused = self.samples.flush()
        self._counts[VALUE_REFUSED] += refused
        self._presence.on_readings(newest)
        self.service.store.count(dict(+self._counts))
        self._clear()
        return newest

    def look_at_readings(self) -> None:
        """Believe that devices are there whose readings others have stored since they were said to be away."""
        rows = self.service.store.query("SELECT id, reading, reading_at FROM fleet WHERE online = 0")
        told = [row for row in rows if row["reading"] and row["reading_at"]]
        self._presence.on_readings({row["id"]: (_sample(row["reading"]), row["reading_at"]) for row in told})

    def discard(self) -> None:
        """Drop what was gathered since the last flush: the transaction was rolled back and comes again."""
        self._told.clear()
        self.samples.discard()
        self._clear()

    def _clear(self) -> None:
        if len(self._told) > MOST_TOLD:
            self._told.clear()
        self.samples.clear()
        self._counts.clear()

    def _dispatch(self, device_id: str, route: Route[Any], message: Any, packet: Packet, at: float) -> None:
        known = self.service.store.has_device(device_id)
        if not known and route is CMD:
            self._refuse(device_id, packet, WireError(f"no device '{device_id}' is here", code="unknown_device"), at)
            return
        if not known:
            self.service.store.add_device(device_id, at, approved=self.approve_new)
            text = f"{device_id} registered" + ("" if self.approve_new else "; it waits for approval")
            self.service.store.add_event(at, "device", text, who=device_id, device_id=device_id)
        if route is TELEMETRY:
            self.samples.take(device_id, packet.payload, at)
        elif route is STATUS:
            self._counts["late_will"] += not self._presence.on_status(device_id, message, packet, at)
        elif route is INFO:
            self._on_info(device_id, json.loads(packet.payload), at)
            self.service.lifecycle.news.arrived(device_id, at)
        elif route is STATE:
            self._on_state(device_id, message, packet, at)
        elif route is ACK:
            self._on_ack(device_id, message, at)
        elif route is LOG:
            self._on_log(device_id, message, at)
        elif route is CMD:
            self._adoption.on_command(device_id, message, packet.payload, at)

    def _on_info(self, device_id: str, info: dict[str, Any], at: float) -> None:
        store = self.service.store
        before = (store.device(device_id) or {}).get("info")
        if info != before:
            store.put_device(device_id, info=info)
        if before and (changed := changes(before, info)):
            text = f"{device_id} says: {'; '.join(changed)}"
            store.add_event(at, "device", text, who=device_id, device_id=device_id, facts={"changed": changed})

    def _on_state(self, device_id: str, state: State, packet: Packet, at: float) -> None:
        store = self.service.store
        self._note_step(device_id, state, at)
        store.put_device(device_id, state=json.loads(packet.payload))
        for last in state.last_cmds:
            newest, known = (last.attempt, last.seq), (device_id, last.id)
            if self._told.get(known, (-1, 0)) >= newest:
                continue
            ack = Ack(
                id=last.id,
                op=last.op,
                state=last.state,
                attempt=last.attempt,
                seq=last.seq,
                gen=last.gen,
                ts=last.ts,
                reason=None if last.code else last.msg,
                error=Fault(code=last.code, msg=last.msg or last.code) if last.code else None,
                result=last.result,
            )
            if self._on_ack(device_id, ack, at):
                self._told[known] = newest
        current = state.current_cmd
        if current is None or current.op != "deploy":
            return
        ack = Ack(
            id=current.id,
            op="deploy",
            state=current.state,
            attempt=current.attempt,
            seq=current.seq,
            gen=current.gen,
            reason=current.reason,
            detail=current.detail,
            eta=current.eta,
        )
        self._on_ack(device_id, ack, at)
        if asks_us(ack):
            self._adoption.on_waiting(device_id, current, at)

    def _note_step(self, device_id: str, state: State, at: float) -> None:
        """Enter a step of the device's governor into the stream, once: an older state is no news."""
        rev, before = self.service.store.reported(device_id, "rev", "governor")
        if state.rev <= (rev or 0):
            return
        now: dict[str, Any] | None = document(state.governor)
        said = stepped(device_id, before, now)
        if said is not None:
            self.service.store.add_event(at, "governor", said, who=device_id, device_id=device_id, facts=now)

    def _on_ack(self, device_id: str, ack: Ack, at: float) -> bool:
        """Take in what a device says of a command; return whether it is one that we know."""
        deployment = self.service.deployments.on_device(device_id, ack.id)
        if deployment is not None:
            self._on_news(device_id, deployment, ack, at)
            return True
        known = self.service.commands.get(ack.id, device_id)
        if known is None:
            if ack.op == "deploy":
                self._note_foreign(ack)
                return False
            if ack.attempt == 0:
                return False  # a refusal that is nobody's news: no command of that id is in any journal
            self.service.commands.add(ack.id, device_id, ack.op, "mqtt", at)
        if not self.service.commands.hear(device_id, ack, at):
            return True
        if ack.state in TERMINAL:
            self.service.outbox.heard(device_id, ack.id)
        else:
            self.service.outbox.taken(device_id, ack.id, at + DEADLINE_S)
        ends_well = ack.state is Phase.SUCCEEDED
        if ack.op == "bench" and ends_well and ack.result and isinstance(ack.result.get("model"), str):
            self.service.on_bench(device_id, ack.result, at)
        if ack.state is not Phase.ACCEPTED:
            words = f": {ack.error.msg}" if ack.error else ""
            text = f"{ack.op} on {device_id} {ack.state.value}{words}"
            self.service.store.add_event(at, "command", text, who=device_id, device_id=device_id)
        return True

    def _note_foreign(self, ack: Ack) -> None:
        """Count news of a deployment that belongs to another device; a device cannot speak for its neighbour."""
        if self.service.deployments.elsewhere(ack.id) is not None:
            self._counts["foreign_ack"] += 1

    def _on_news(self, device_id: str, deployment: Deployment, ack: Ack, at: float) -> None:
        if is_typed_again(deployment, ack, at):
            self._adoption.begin_again(deployment, at, after_attempt=ack.attempt - 1)
            return
        after = self.service.lifecycle.apply(deployment, Heard(ack=ack), at, who=device_id)
        if after.typed and after.phase in (Phase.QUEUED, Phase.SENT) and (ack.gen or 0) > (after.gen or 0):
            self.service.resolving.renew(after, ack.gen or 0, at)

    def _on_log(self, device_id: str, line: LogLine, at: float) -> None:
        dropped = f" ({line.dropped} lines before it were dropped)" if line.dropped else ""
        facts = {"level": line.level, "cmd_id": line.cmd_id, "ts": line.ts}
        self.service.store.add_event(
            at, "log", line.msg[:KEPT_BYTES] + dropped, who=device_id, device_id=device_id, facts=facts
        )
        if self._lines[device_id] % TRIMMED_EVERY == 0:
            self._stream.trim_log(device_id)
        self._lines[device_id] += 1

    def _refuse(self, device_id: str, packet: Packet, error: EdgeWattError, at: float) -> None:
        self._counts[error.code] += 1
        known = self.service.store.has_device(device_id)
        if known:
            self.inspector.keep(device_id, packet.topic.rpartition("/")[2], packet, at, error.message)
        self.inspector.refuse(packet, at, error.message, error.code, device_id if known else None)
        logger.info("refused a message: topic=%s code=%s reason=%s", packet.topic[:120], error.code, error.message)


def _sample(reading: dict[str, Any]) -> Telemetry:
    return Telemetry(**{name: reading[name] for name in ("ts", "session", "seq")})
