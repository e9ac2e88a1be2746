"""Lets heavy work run one piece after the other, and lets others end it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from edge_agent.work import Ending, Work


@dataclass(slots=True)
class Lane:
    """The commands at work by id; `turn` is held by the one that downloads, loads or measures."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _works: dict[str, Work] = field(default_factory=dict)
    _group: asyncio.TaskGroup | None = None

    def open(self, group: asyncio.TaskGroup) -> None:
        """Run work as tasks of `group` from now on."""
        self._group = group

    def begin(self, command_id: str, job: Callable[[Work], Awaitable[None]], *, alone: bool = True) -> None:
        """Start `job` for `command_id`; `alone` waits until nothing else works."""
        assert self._group is not None
        work = self._works[command_id] = Work(command_id)
        self._group.create_task(self._run(work, job, alone=alone))

    def end(self, command_ids: Iterable[str], ending: Ending | None) -> None:
        """Ask the work of `command_ids` to end; what is not at work is left alone."""
        for command_id in command_ids:
            if command_id in self._works:
                self._works[command_id].end(ending)

    def close(self) -> None:
        """Ask everything to end, because the agent does."""
        self.end(tuple(self._works), None)

    async def _run(self, work: Work, job: Callable[[Work], Awaitable[None]], *, alone: bool) -> None:
        try:
            if alone:
                async with self.turn:
                    await job(work)
            else:
                await job(work)
        finally:
            if self._works.get(work.id) is work:
                del self._works[work.id]
