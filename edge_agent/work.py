"""One command at work, and how someone else may end it."""

import asyncio
from dataclasses import dataclass, field
from threading import Event

from broker.commands import Fault
from broker.phases import Phase


class StoppedError(Exception):
    """Someone ended the work from outside; not a failure of the work."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a command ends that was ended from outside."""

    phase: Phase
    fault: Fault


@dataclass(slots=True)
class Work:
    """A command at work; `ending` None with `stop` set means that the agent itself stops."""

    id: str
    stop: Event = field(default_factory=Event)
    halted: asyncio.Event = field(default_factory=asyncio.Event)
    ending: Ending | None = None

    def end(self, ending: Ending | None) -> None:
        """Ask it to end; the first reason counts."""
        if not self.stop.is_set():
            self.ending = ending
        self.stop.set()
        self.halted.set()

    async def rest(self, seconds: float) -> None:
        """Let time pass; raises StoppedError when the end comes first."""
        try:
            async with asyncio.timeout(seconds):
                await self.halted.wait()
        except TimeoutError:
            return
        raise StoppedError

    def check(self) -> None:
        """Raise StoppedError when the end was asked for."""
        if self.stop.is_set():
            raise StoppedError
