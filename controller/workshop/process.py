"""Runs one worker as a process group: hears its lines, and ends it when it is done, late or no longer wanted."""

import asyncio
import logging
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from controller.workshop.jobs import Cancelled, Failed, Told
from controller.workshop.lines import Lines, Result, read

logger = logging.getLogger(__name__)

WORKER = ("-m", "controller.workshop.worker")
ROOT = Path(__file__).resolve().parents[2]
CHUNK_BYTES = 65_536
POLITE_S = 5.0
"""How long a worker may tidy up after SIGTERM."""

LOOK_S = 0.02
LAST_LINES = 20

Outcome = Result | Failed | Cancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a worker may use: seconds in all, and memory in 10^6 bytes."""

    timeout_s: float
    memory_mb: int


async def work(
    arguments: Sequence[str],
    limits: Limits,
    told: Callable[[Told], None],
    unwanted: "asyncio.Future[Cancelled]",
) -> Outcome:
    """Run this interpreter with `arguments`, tell of its progress, and return how it ended.

    It is ended after `limits.timeout_s`, and when `unwanted` has a result. Nothing of its group is left afterwards.
    """
    process = await _started(arguments, limits)
    final: asyncio.Future[Result | Failed] = asyncio.get_running_loop().create_future()
    last: deque[str] = deque(maxlen=LAST_LINES)
    assert process.stdout is not None
    assert process.stderr is not None
    reading = asyncio.gather(_hear(process.stdout, told, final), _keep(process.stderr, last))
    try:
        waited = (final, reading, unwanted)
        await asyncio.wait(waited, timeout=limits.timeout_s, return_when=asyncio.FIRST_COMPLETED)
        late = not any(each.done() for each in waited)
    finally:
        try:
            await _end(process, reading)
        finally:
            reading.cancel()
    if unwanted.done():
        return unwanted.result()
    if final.done() and not late:
        return final.result()
    return _late(limits, last) if late else _died(process.returncode, last)


async def _started(arguments: Sequence[str], limits: Limits) -> asyncio.subprocess.Process:
    """Start a worker whole, even while we are cancelled: asyncio waits for ever for one that it had begun to start."""
    starting = asyncio.create_task(_start(arguments, limits))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        process = await starting
        _signal(process.pid, signal.SIGKILL)
        await _exit(process)
        raise


async def _start(arguments: Sequence[str], limits: Limits) -> asyncio.subprocess.Process:
    bounds = (str(os.getpid()), str(limits.memory_mb))
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "controller.workshop.confined", *bounds, *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(),
        start_new_session=True,
    )


def _environment() -> dict[str, str]:
    threads = str(max(1, (os.cpu_count() or 1) - 1))
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return os.environ | {"PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": threads, "PYTHONPATH": paths}


async def _hear(
    stream: asyncio.StreamReader, told: Callable[[Told], None], final: "asyncio.Future[Result | Failed]"
) -> None:
    """Read to the end; the first result or error is what counts."""
    lines, garbage = Lines(), 0
    while chunk := await stream.read(CHUNK_BYTES):
        for line in lines.feed(chunk):
            match read(line):
                case Told() as news if not final.done():
                    told(news)
                case Result() | Failed() as end if not final.done():
                    final.set_result(end)
                case None if line.strip():
                    garbage += 1
    if garbage or lines.dropped:
        logger.warning("a worker said %d lines that are none, and %d too long", garbage, lines.dropped)


async def _keep(stream: asyncio.StreamReader, last: "deque[str]") -> None:
    """Keep the end of a worker's log."""
    lines = Lines()
    while chunk := await stream.read(CHUNK_BYTES):
        last.extend(line.decode("utf-8", "replace").rstrip() for line in lines.feed(chunk) if line.strip())


async def _end(process: asyncio.subprocess.Process, reading: "asyncio.Future[tuple[None, None]]") -> None:
    """End the whole group, politely first; what it said until then is read."""
    _signal(process.pid, signal.SIGTERM)
    try:
        await _exit(process)
    finally:
        _signal(process.pid, signal.SIGKILL)
    await _exit(process)
    with suppress(TimeoutError):  # a process that left the group may hold the pipe open
        async with asyncio.timeout(POLITE_S):
            await reading


async def _exit(process: asyncio.subprocess.Process) -> None:
    """Wait until `process` has ended, `POLITE_S` at most; its own `wait` would wait for who holds its pipes too."""
    with suppress(TimeoutError):
        async with asyncio.timeout(POLITE_S):
            while process.returncode is None:  # noqa: ASYNC110 - as said, there is no event for this alone
                await asyncio.sleep(LOOK_S)


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def _late(limits: Limits, last: Iterable[str]) -> Failed:
    _log("took too long", last)
    return Failed(
        code="timed_out",
        message=f"not done after {limits.timeout_s:.0f} s, so it was ended",
        hint="ask again on a free machine, or raise conversion_timeout_s",
    )


def _died(code: int | None, last: Sequence[str]) -> Failed:
    """Return the failure of a worker that ended without a word."""
    _log(f"ended with code {code}", last)
    how = f"was killed by {_name(-code)}" if code is not None and code < 0 else f"ended with code {code}"
    said = f": {last[-1][:300]}" if last else ""
    hint = "the controller's log has its last lines; a network too large for this machine's memory ends like this"
    return Failed(code="worker_died", message=f"the worker {how} without a result{said}", hint=hint)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _log(how: str, last: Iterable[str]) -> None:
    logger.warning("a worker %s; its last lines:\n%s", how, "\n".join(f"    {line}" for line in last))
