"""Several processes as one: started together, restarted once, ended together in reverse order."""

import asyncio
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from broker.errors import EdgeWattError
from controller.cli.processes import Child, Program, launch
from controller.cli.readiness import wait_until

RESTARTS = 1
POLITE_S = 5.0
Say = Callable[[str], None]


class Supervisor:
    """Keeps programs running until `stop`; what happens to them is told to `say`."""

    def __init__(self, logs: Path, say: Say) -> None:
        """Start nothing yet; each program's output goes to a file in `logs`."""
        self.logs = logs
        self._say = say
        self._children: dict[str, Child] = {}
        self._watches: set[asyncio.Task[None]] = set()
        self._deaths: Counter[str] = Counter()
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def pids(self) -> dict[str, int]:
        """The process ids of what runs, by name."""
        return {name: child.pid for name, child in self._children.items() if child.alive}

    async def start(self, program: Program) -> None:
        """Start `program` and watch it from now on."""
        child = await launch(program, self.logs)
        self._children[program.name] = child
        watch = asyncio.create_task(self._watch(child))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)

    async def once(self, program: Program) -> int:
        """Run `program` to its end and return its exit code; `stop` ends it before."""
        child = await launch(program, self.logs)
        self._children[program.name] = child
        return await child.ended()

    async def ready(self, name: str, answers: Callable[[], bool], *, within_s: float) -> None:
        """Return when `name` answers.

        Raises EdgeWattError (`process_died`) when it died for good or stayed silent for `within_s`.
        """

        def trying() -> bool:
            return not self._broken.done() and self._deaths[name] <= RESTARTS

        if not await asyncio.to_thread(wait_until, answers, within_s=within_s, alive=trying):
            raise self._report(name, f"{name} did not get ready within {within_s:.0f} s")

    async def broken(self) -> None:
        """Wait for ever; raises EdgeWattError (`process_died`) when a vital program cannot be kept running."""
        await self._broken

    async def stop(self) -> None:
        """End all, the last started first, killing what does not end politely."""
        self._broken.cancel()
        for watch in tuple(self._watches):
            watch.cancel()
        vital = [child for child in self._children.values() if child.program.vital]
        others = [child for child in self._children.values() if not child.program.vital]
        await asyncio.gather(*(child.end(POLITE_S) for child in others))
        for child in reversed(vital):
            await child.end(POLITE_S)

    async def _watch(self, child: Child) -> None:
        code = await child.ended()
        program = child.program
        self._deaths[program.name] += 1
        if self._deaths[program.name] <= RESTARTS:
            self._say(f"{program.name} ended with code {code}; starting it again (log: {child.log})")
            await self.start(program)
            return
        report = self._report(program.name, f"{program.name} ended again with code {code}")
        if program.vital and not self._broken.done():
            self._broken.set_exception(report)
        elif not program.vital:
            self._say(f"{report.message}\nthe others go on without it")

    def _report(self, name: str, what: str) -> EdgeWattError:
        child = self._children[name]
        lines = "\n".join(f"    {line}" for line in child.last_lines())
        return EdgeWattError(f"{what}; the end of {child.log}:\n{lines}", code="process_died")


async def supervised(logs: Path, say: Say, story: Callable[[Supervisor], Awaitable[Any]]) -> None:
    """Run `story`, then wait until SIGINT, SIGTERM or SIGHUP; whatever happens, every process is ended.

    `logs` is a folder that exists.
    Raises EdgeWattError (`process_died`) when a vital program cannot be kept running, and what `story` raises.
    """
    supervisor = Supervisor(logs, say)

    async def live() -> None:
        await story(supervisor)
        await asyncio.Event().wait()

    living = asyncio.create_task(live())
    breaking = asyncio.create_task(supervisor.broken())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, living.cancel)
    try:
        await asyncio.wait((living, breaking), return_when=asyncio.FIRST_COMPLETED)
    finally:
        living.cancel()
        await supervisor.stop()
        results = await asyncio.gather(living, breaking, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result
