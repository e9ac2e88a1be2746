"""Decides what an arriving command means beside what the journal knows; pure."""

from dataclasses import dataclass, replace

from broker.commands import Ack, Command, Fault
from broker.phases import Phase
from edge_agent.journal import Entry

EARLIEST_TS = 1_577_836_800.0
"""2020-01-01: a clock that shows less was not set."""

HAND_TYPED_MEMORY_S = 60.0
"""How long the same payload without an id is the same command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A command as it came; `command.id` is set, by its sender or from its payload (`hand_typed`).

    `apart_s` is how long ago the same words came first in this boot, by a clock that does not jump; None for the first.
    """

    command: Command
    at: float
    hand_typed: bool = False
    retained: bool = False
    apart_s: float | None = None

    @property
    def id(self) -> str:
        """The command's id."""
        return self.command.id or ""


@dataclass(frozen=True, slots=True)
class Start:
    """Journal this entry, then begin; it may be born terminal (superseded)."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Complete:
    """Journal this entry: the artifact for a request by name has come."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Repeat:
    """Say again what the journal knows; do nothing."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer, and leave the journal alone."""

    ack: Ack


Decision = Start | Complete | Repeat | Refuse


def decide(arrival: Arrival, known: Entry | None, *, gen: int) -> Decision:
    """Return what `arrival` means for a device of generation `gen` that knows `known` under the same id."""
    if known is None:
        return Start(_first_life(arrival, gen))
    if arrival.hand_typed:
        old = _apart_s(arrival, known) >= HAND_TYPED_MEMORY_S
        return (
            Start(_next_life(arrival, known, gen)) if known.terminal and old and not arrival.retained else Repeat(known)
        )
    fingerprint = arrival.command.fingerprint
    if fingerprint in (known.fingerprint, known.request_fingerprint) or _is_tombstone(known):
        return Repeat(known)
    if known.command is not None and known.command.is_request and arrival.command.artifact is not None:
        return _completion(arrival, known)
    return Refuse(_id_conflict(arrival))


def _apart_s(arrival: Arrival, known: Entry) -> float:
    """Return how long `known` is older than the same words now; nothing where a clock that was not set would tell."""
    if arrival.apart_s is not None:
        return arrival.apart_s
    return arrival.at - known.created_at if known.created_at >= EARLIEST_TS or arrival.at < EARLIEST_TS else 0.0


def tombstone(target: str, *, now: float, reason: str | None) -> Entry:
    """Return the memory of a cancel that came before the command it names."""
    return Entry(
        id=target,
        op="deploy",
        phase=Phase.CANCELLED,
        created_at=now,
        ts=now,
        fingerprint="",
        reason=reason or "cancelled before it arrived",
        error=Fault(code="cancelled", msg=reason or "cancelled before it arrived"),
    )


def _is_tombstone(entry: Entry) -> bool:
    return entry.phase is Phase.CANCELLED and not entry.fingerprint


def _first_life(arrival: Arrival, gen: int) -> Entry:
    command = arrival.command
    own_gen = gen + 1 if command.gen is None and command.op in ("deploy", "rollback", "undeploy") else command.gen
    entry = Entry(
        id=arrival.id,
        op=command.op,
        phase=Phase.ACCEPTED,
        created_at=arrival.at,
        ts=arrival.at,
        fingerprint=command.fingerprint,
        gen=own_gen,
        command=replace(command, input=None, config=None),
    )
    return _superseded(entry, gen) if command.op == "deploy" and (own_gen or 0) < gen else entry


def _next_life(arrival: Arrival, known: Entry, gen: int) -> Entry:
    return replace(_first_life(arrival, gen), attempt=known.attempt + 1, seq=known.seq + 1)


def _superseded(entry: Entry, gen: int) -> Entry:
    reason = f"generation {entry.gen} is older than this device's {gen}"
    return replace(entry, phase=Phase.SUPERSEDED, reason=reason, error=Fault(code="superseded", msg=reason))


def _completion(arrival: Arrival, known: Entry) -> Decision:
    command = arrival.command
    stale = command.gen is not None and known.gen is not None and command.gen < known.gen
    if known.terminal or stale:
        return Repeat(known)
    return Complete(
        replace(
            known,
            command=replace(command, input=None, config=None),
            gen=command.gen or known.gen,
            fingerprint=command.fingerprint,
            request_fingerprint=known.fingerprint,
            seq=known.seq + 1,
            ts=arrival.at,
        )
    )


def _id_conflict(arrival: Arrival) -> Ack:
    """Return the answer to a reused id; attempt 0 and seq 0, so that nobody takes it as news of the real command."""
    said = f"the id {arrival.id} was used for another command"
    fault = Fault(code="id_conflict", msg=said)
    return Ack(
        id=arrival.id,
        op=arrival.command.op,
        state=Phase.REJECTED,
        attempt=0,
        seq=0,
        ts=arrival.at,
        reason=said,
        error=fault,
    )
