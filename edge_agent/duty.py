"""The duty cycle: when an agent may sleep, until when, and how a process sleeps."""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from broker.phases import Phase
from edge_agent.journal import Entry

OVERTIME_S = 3_600.0
"""The longest that work may keep a device awake beyond its time; the journal carries on what is left then."""

LOOK_S = 0.2
"""How often the end of the work is looked for."""

TURN_S = 10.0
"""How often a sleeping process looks at the clock on the wall, which goes on while the board is suspended."""


@dataclass(slots=True, kw_only=True)
class Duty:
    """One waking time of a device; `wake_at` (Unix s) is known once it goes to sleep.

    `busy` says whether it works on something that it would rather finish.
    """

    awake_s: float
    sleep_s: float
    busy: Callable[[], bool]
    now: Callable[[], float]
    overtime_s: float = OVERTIME_S
    wake_at: float | None = None

    async def end(self) -> None:
        """Return when it is time to sleep: the waking time is over, and the work done or too long."""
        await asyncio.sleep(self.awake_s)
        try:
            async with asyncio.timeout(self.overtime_s):
                while self.busy():  # noqa: ASYNC110 - work ends in the journal, which sends no event
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            pass
        self.wake_at = self.now() + self.sleep_s


def is_busy(unfinished: Iterable[Entry]) -> bool:
    """Return whether work is at hand; what only waits can wait while the device sleeps."""
    return any(entry.phase is not Phase.WAITING for entry in unfinished)


async def sleep(
    seconds: float,
    leaving: asyncio.Event,
    *,
    wall: Callable[[], float] = time.time,
    steady: Callable[[], float] = time.monotonic,
    turn_s: float = TURN_S,
) -> bool:
    """Sleep, and return whether the end came by itself and not by `leaving`.

    Either clock wakes it: the one on the wall may be set back, the steady one stands still while a board is suspended.
    """
    wall_end, steady_end = wall() + seconds, steady() + seconds
    while (left_s := min(wall_end - wall(), steady_end - steady())) > 0:
        try:
            async with asyncio.timeout(min(left_s, turn_s)):
                await leaving.wait()
        except TimeoutError:
            continue
        return False
    return True
