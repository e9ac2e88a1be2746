"""One child process: its own group, its own log file, and no life without its parent."""

import asyncio
import os
import signal
import sys
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from broker.tied import dies_with_us

LAST_LINES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run: `argv` and what its environment has besides ours; `vital` ends everything when it cannot be kept."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    vital: bool = False


def python(name: str, *arguments: str, vital: bool = False, **env: str) -> Program:
    """Return the program that is this interpreter with `arguments`."""
    return Program(name=name, argv=(sys.executable, *arguments), env=env, vital=vital)


class Child:
    """A program that runs."""

    def __init__(self, program: Program, process: asyncio.subprocess.Process, log: Path) -> None:
        """Hold a started `process` whose output goes to `log`."""
        self.program = program
        self.log = log
        self._process = process

    @property
    def pid(self) -> int:
        """Its process id, which is also its group's."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.returncode is None

    async def ended(self) -> int:
        """Wait for its end and return its exit code; negative is the signal that killed it."""
        return await self._process.wait()

    async def end(self, within_s: float) -> None:
        """Ask its group to end, and kill what is left after `within_s`."""
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.ended(), within_s)
        except TimeoutError:
            pass
        finally:
            self._signal(signal.SIGKILL)
        await self.ended()

    async def kill(self) -> None:
        """End its group at once, as a power cut would."""
        self._signal(signal.SIGKILL)
        await self.ended()

    def last_lines(self, count: int = LAST_LINES) -> list[str]:
        """Return the end of its log."""
        with self.log.open(encoding="utf-8", errors="replace") as lines:
            return [line.rstrip() for line in deque(lines, maxlen=count)]

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return


async def launch(program: Program, logs: Path) -> Child:
    """Start `program` in its own process group, with its output appended to `logs`/<name>.log."""
    log = logs / f"{program.name}.log"
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *program.argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **program.env},
            start_new_session=True,
            preexec_fn=dies_with_us(),
        )
    return Child(program, process, log)
