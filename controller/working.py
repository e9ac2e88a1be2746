"""What an active controller does besides answering: tasks that run until it is over, and end together."""

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any

from controller.storage.database import Connection

LOOK_EVERY_S = 0.2
SEARCHED_EVERY = (50_000, 20, 100)
"""Objects after which the newest are searched for garbage, and how often until older ones are: a batch makes 10,000."""


class Work:
    """Tasks that began; none of them is meant to end by itself."""

    def __init__(self, *works: Coroutine[Any, Any, None]) -> None:
        """Begin `works`; what is there by now stays, and what they leave behind is seldom garbage in circles."""
        gc.freeze()
        gc.set_threshold(*SEARCHED_EVERY)
        self._tasks = [asyncio.create_task(work) for work in works]

    async def over(self, stopping: asyncio.Event, connection: Connection) -> None:
        """Return when we are told to stop, when the database is lost, or when a task has failed."""
        while not (stopping.is_set() or connection.lost or any(task.done() for task in self._tasks)):
            await asyncio.wait([*self._tasks, stopped := asyncio.create_task(stopping.wait())], timeout=LOOK_EVERY_S)
            stopped.cancel()

    async def end(self, *, forgiven: bool) -> None:
        """End all tasks, and raise what one has failed with unless that is `forgiven`."""
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        for task in self._tasks:
            if not task.cancelled() and not forgiven:
                task.result()
