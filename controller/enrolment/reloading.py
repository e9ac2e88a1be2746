"""Tells the broker to read its users again: by a signal to the process in a pid file, or by a command."""

import asyncio
import os
import shlex
import signal
from dataclasses import dataclass
from pathlib import Path

WITHIN_S = 10.0
BROKERS = ("mosquitto", "broker.embedded")
"""What the command line of a process has to contain before it is sent SIGHUP, which would end most others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """Whether the broker was told; `says` how, or why not, and `run` is what a person types then."""

    done: bool
    says: str
    run: str = ""


@dataclass(frozen=True, slots=True)
class Reload:
    """How to tell the broker: `how` is a pid file (it ends with .pid), a command without a shell, or empty."""

    how: str = ""

    async def __call__(self) -> Reloaded:
        """Tell it."""
        if not self.how:
            return _not_told("the setting broker_reload of the controller is empty", "systemctl reload mosquitto")
        if self.how.endswith(".pid"):
            return _signal(Path(self.how))
        return await _run(self.how)


def _signal(file: Path) -> Reloaded:
    by_hand = f"kill -HUP $(cat {file})"
    try:
        pid = int(file.read_text())
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (OSError, ValueError):
        return _not_told(f"no broker runs by {file}", by_hand)
    if not any(name in words for name in BROKERS):
        return _not_told(f"{file} is of a process that is no broker", by_hand)
    try:
        os.kill(pid, signal.SIGHUP)
    except OSError as error:
        return _not_told(f"the broker with the id {pid} takes no signal from us: {error.strerror}", f"sudo {by_hand}")
    return Reloaded(done=True, says=f"the broker with the id {pid} reads its users again")


async def _run(command: str) -> Reloaded:
    try:
        process = await asyncio.create_subprocess_exec(
            *shlex.split(command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except (OSError, ValueError) as error:
        return _not_told(f"'{command}' cannot be run: {getattr(error, 'strerror', None) or error}", command)
    try:
        _, said = await asyncio.wait_for(process.communicate(), WITHIN_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        return _not_told(f"'{command}' did not end within {WITHIN_S:.0f} s", command)
    if process.returncode:
        why = said.decode(errors="replace").strip()[-200:]
        return _not_told(f"'{command}' ended with {process.returncode}: {why or 'it said nothing'}", command)
    return Reloaded(done=True, says=f"'{command}' told the broker to read its users again")


def _not_told(why: str, run: str) -> Reloaded:
    return Reloaded(done=False, says=f"the broker was not told: {why}", run=run)
