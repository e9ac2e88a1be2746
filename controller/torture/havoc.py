"""Kills processes at their time and brings them back."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from controller.cli.processes import Child, Program, launch
from controller.torture.plan import Kill


@dataclass(slots=True)
class Havoc:
    """The processes by name; each can be killed and comes back as it was."""

    logs: Path
    children: dict[str, Child] = field(default_factory=dict)
    killed: Counter[str] = field(default_factory=Counter)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self, program: Program) -> None:
        """Start a program that may be killed."""
        self.children[program.name] = await launch(program, self.logs)

    async def wreak(self, kills: Iterable[Kill]) -> None:
        """Carry `kills` out until it is `over`, each beside the others: several may be away at once."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for kill in kills:
                group.create_task(self._one(kill, began))

    async def end(self, names: Iterable[str], within_s: float) -> None:
        """End the named programs politely, all at once."""
        await asyncio.gather(*(self.children.pop(name).end(within_s) for name in tuple(names)))

    async def _one(self, kill: Kill, began: float) -> None:
        if await self._over_within(kill.at_s - (time.monotonic() - began)):
            return
        child = self.children[kill.what]
        await child.kill()
        self.killed[kill.what] += 1
        await asyncio.sleep(kill.away_s)
        await self.start(child.program)

    async def _over_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(max(seconds, 0.0)):
                await self.over.wait()
        except TimeoutError:
            return False
        return True
