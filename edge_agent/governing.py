"""Applies the governor's ladder: keeps it, steps where battery or heat call for it, and serves what a rung names."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from hashlib import file_digest
from pathlib import Path
from typing import Any

from broker.activity import GovernorState
from broker.errors import ArtifactError, EdgeWattError, InvalidError, StorageError, WireError
from broker.messages import PowerState
from broker.wire import decode, encode
from edge_agent.cadence import Cadence
from edge_agent.files import write_whole
from edge_agent.governor import Ladder, condition, govern, model_of, rate_of, reason
from edge_agent.ladder import ladder_of
from edge_agent.modelstore import Held, ModelStore
from edge_agent.runtimes.session import Session
from edge_agent.serving import Server

AGAIN_S = 60.0
"""How long a model that could not be loaded is left alone."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The ladder in force, the models it names, and the rung that the device stands on since `since`."""

    ladder: Ladder = field(default_factory=Ladder)
    residents: dict[str, Held] = field(default_factory=dict)
    rung: int = 0
    since: float = 0.0
    reason: str | None = None
    condition: str | None = None


@dataclass(slots=True, kw_only=True)
class Governor:
    """The one who changes rate and running model to save power; without a ladder it does nothing.

    `load` makes a session of a model on the device; `may_swap` says that no command at work needs what runs.
    """

    path: Path
    store: ModelStore
    server: Server
    cadence: Cadence
    load: Callable[[Held], Awaitable[Session]]
    may_swap: Callable[[], bool]
    power: Callable[[], PowerState]
    now: Callable[[], float]
    news: Callable[[], None]
    every_s: float = 5.0
    steady: Callable[[], float] = time.monotonic
    standing: Standing = field(default_factory=Standing)
    _fault: str | None = None
    _again_at: float = float("-inf")
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Stand where the device stood before the restart."""
        try:
            found = decode(Standing, self.path.read_bytes())
            self.standing = found if 0 <= found.rung <= len(found.ladder.rungs) else replace(found, rung=0)
        except FileNotFoundError:
            return
        except WireError as error:
            log.warning("the governor's ladder is damaged and set aside: %s", error.message)
            self.path.replace(self.path.with_suffix(".damaged"))

    @property
    def state(self) -> GovernorState | None:
        """Where the device stands; None without a ladder."""
        standing, held = self.standing, self.server.held
        if not standing.ladder.rungs:
            return None
        wanted = self._resident()
        return GovernorState(
            rung=standing.rung,
            of=len(standing.ladder.rungs),
            since=standing.since,
            rate=self.rate,
            reason=standing.reason,
            condition=standing.condition,
            model=wanted.model.model if wanted else None,
            runs=held.model.model if held else None,
            fault=self._fault,
        )

    @property
    def rate(self) -> float:
        """The most inferences per second: that of the rung, never more than what the device was set to."""
        said = rate_of(self.standing.ladder, self.standing.rung)
        return self.cadence.pace.rate if said is None else min(said, self.cadence.pace.rate)

    @property
    def needed(self) -> set[str]:
        """The contents that have to stay on the device, by SHA-256."""
        return {held.model.artifact_sha256 for held in self.standing.residents.values()}

    def understood(self, wanted: Any) -> Standing:
        """Return the ladder in `wanted` with the models it names; raises InvalidError, and changes nothing."""
        ladder = ladder_of(wanted)
        if ladder is None:
            return Standing(since=self.now())
        named = [rung.model for rung in ladder.rungs if rung.model is not None]
        return Standing(ladder=ladder, residents={name: self._found(name) for name in named}, since=self.now())

    def install(self, standing: Standing) -> None:
        """Put a new ladder in force, and step at once where it calls for that; raises StorageError."""
        if (standing.ladder, standing.residents) == (self.standing.ladder, self.standing.residents):
            return
        write_whole(self.path, encode(standing))
        self.standing, self._fault, self._again_at = standing, None, float("-inf")
        self.step()
        self.news()
        self._woken.set()

    async def run(self) -> None:
        """Look at battery and heat for ever."""
        while True:
            self.step()
            await self.settle()
            try:
                async with asyncio.timeout(self.every_s):
                    await self._woken.wait()
            except TimeoutError:
                continue
            self._woken.clear()

    def step(self) -> None:
        """Go to the rung that is called for, and set its rate."""
        ladder, before = self.standing.ladder, self.standing.rung
        if ladder.rungs:
            power = self.power()
            rung = govern(ladder, power, before)
            if rung != before:
                self._stand(rung, reason(ladder, power, rung, before), condition(ladder, power, rung))
        if self.server.rate != self.rate:
            self.server.set_rate(self.rate)

    async def settle(self) -> None:
        """Serve the model of the rung, or the active one again, when nothing at work needs what runs."""
        wanted = self._target()
        if wanted is None and self._fault is not None:
            self._fault = None
            self.news()
        if wanted is None or self.steady() < self._again_at or not self.may_swap():
            return
        model = wanted.model
        try:
            await asyncio.to_thread(check_intact, self.store.path(model.artifact_sha256, wanted.format))
            session = await self.load(wanted)
        except EdgeWattError as error:
            self._again_at = self.steady() + AGAIN_S
            self._tell_fault(f"{model.model} does not run: {error.message}")
            return
        if self.may_swap() and self._target() == wanted:
            self.server.swap(session, wanted)
            self._fault = None
            log.info("governor: %s runs now", model.model)
            self.news()

    def _stand(self, rung: int, why: str, until: str | None) -> None:
        """Stand on `rung` from now on; a full disk keeps nobody from saving power."""
        self.standing = replace(self.standing, rung=rung, since=self.now(), reason=why, condition=until)
        self._fault, self._again_at = None, float("-inf")
        log.info("governor: rung %d of %d, %g/s (%s)", rung, len(self.standing.ladder.rungs), self.rate, why)
        try:
            write_whole(self.path, encode(self.standing))
        except StorageError as error:
            log.warning("the governor's step is not kept over a restart: %s", error.message)
        self.news()

    def _target(self) -> Held | None:
        """Return what should run and does not; None where all is well or nothing is to run."""
        active, running = self.store.slots.active, self.server.held
        if active is None or running is None:
            return None
        wanted = self._resident() or active
        return None if wanted.model.artifact_sha256 == running.model.artifact_sha256 else wanted

    def _resident(self) -> Held | None:
        name = model_of(self.standing.ladder, self.standing.rung)
        return None if name is None else self.standing.residents.get(name)

    def _found(self, name: str) -> Held:
        """Return the model on the device that `name` or its SHA-256 names; raises InvalidError (`not_resident`)."""
        slots = self.store.slots
        known = [held for held in (slots.active, slots.previous, *self.standing.residents.values()) if held is not None]
        for held in known:
            if name in (held.model.model, held.model.artifact_sha256):
                return held
        there = ", ".join(dict.fromkeys(held.model.model for held in known)) or "none"
        said = f"the governor's ladder names '{name[:80]}', which is not on the device; these are: {there}"
        raise InvalidError(said, code="not_resident", hint="deploy it, then the model to run by day, then the ladder")

    def _tell_fault(self, said: str) -> None:
        if said != self._fault:
            self._fault = said
            log.warning("governor: %s", said)
            self.news()


def check_intact(path: Path) -> None:
    """Raise ArtifactError unless the file of a model is there and has the SHA-256 that its folder is named by."""
    try:
        with path.open("rb") as file:
            found = file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArtifactError(f"its file cannot be read: {error.strerror or error}", hint="deploy it again") from error
    if found != path.parent.name:
        raise ArtifactError("its file is damaged", code="hash_mismatch", hint="deploy it again")
