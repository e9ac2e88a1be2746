"""Speaks to systemd as sd_notify(3) does: ready, alive while work goes on, stopping; silent where nobody listens."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

LOOK_EVERY_S = 10.0
"""How often a service without a watchdog says how it is."""

PER_WATCHDOG = 3
"""How often life is looked for within the time after which systemd would kill us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Systemd:
    """The service manager that started this process; `address` is None where there is none.

    A process that says nothing for `watchdog_s` is killed and started again.
    """

    address: str | None = None
    watchdog_s: float | None = None

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Return whom NOTIFY_SOCKET names; a watchdog that is meant for another process is none of ours."""
        microseconds, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", str(os.getpid()))
        ours = microseconds.isdigit() and int(microseconds) > 0 and pid == str(os.getpid())
        return cls(
            address=environment.get("NOTIFY_SOCKET") or None,
            watchdog_s=int(microseconds) / 1e6 if ours else None,
        )

    def say(self, *lines: str) -> None:
        """Send one message; one that cannot be sent changes nothing for us."""
        if self.address is None:
            return
        address = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door, contextlib.suppress(OSError):
            door.sendto("\n".join(lines).encode(), address)

    @asynccontextmanager
    async def attended(
        self, progress: Callable[[], object], status: Callable[[], str] = lambda: "working"
    ) -> AsyncIterator[None]:
        """Say that this process is ready, then alive whenever `progress` gives something else than before.

        The event loop says it, so one that is stuck says nothing. `status` is one line for `systemctl status`.
        """
        self.say("READY=1", f"STATUS={status()}")
        pulse = asyncio.create_task(self._pulse(progress, status))
        try:
            yield
        finally:
            pulse.cancel()
            self.say("STOPPING=1")

    async def _pulse(self, progress: Callable[[], object], status: Callable[[], str]) -> None:
        before: object = None
        while True:
            now = progress()
            if now != before:
                self.say("WATCHDOG=1", f"STATUS={status()}")
            before = now
            await asyncio.sleep(LOOK_EVERY_S if self.watchdog_s is None else self.watchdog_s / PER_WATCHDOG)
