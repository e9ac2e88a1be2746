"""A simulated fleet as a few processes: each plays its share of the devices and says every second how they are."""

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.errors import EdgeWattError, InvalidError
from controller.cli.processes import Child, Program, launch, python

LOOK_EVERY_S = 1.0
POLITE_S = 20.0
"""How long a process may take to let its devices say goodbye."""

TAIL_BYTES = 8_192
DEVICES_PER_PROCESS = 25
"""Below that a second process costs more than it helps."""

USAGE = 2
SUMMED = ("devices", "connected", "with_model", "reboots", "misfires")

Tell = Callable[[dict[str, Any]], None]
Together = Callable[[Iterable[dict[str, Any]]], dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetWishes:
    """A fleet to simulate; `speed` is that of probes beside the boards', `often` how much more frequent faults are.

    Faults happen for `fault_s` after `began_at` (Unix s), so that a process that was killed goes on in the same plan.
    """

    devices: int
    mix: str
    seed: int
    broker: str
    folder: Path
    faults: str = ""
    minutes: float | None = None
    processes: int | None = None
    interval_s: float = 5.0
    rate: float = 1.0
    speed: float = 1.0
    often: float = 1.0
    poll_s: float = 5.0
    prefix: str = "sim"
    record: bool = False
    fault_s: float | None = None
    began_at: float | None = None

    @property
    def shares(self) -> int:
        """In how many processes it runs."""
        enough = -(-self.devices // DEVICES_PER_PROCESS)
        return self.processes or max(1, min(os.cpu_count() or 1, enough))


def programs(wishes: FleetWishes) -> list[Program]:
    """Return the processes that play the fleet."""
    return [_program(wishes, share) for share in range(wishes.shares)]


async def simulate(wishes: FleetWishes, logs: Path, tell: Tell) -> dict[str, Any]:
    """Play the fleet until its time is over, or SIGINT or SIGTERM; return the report.

    Raises InvalidError for a mix or faults that make no sense, EdgeWattError (`process_died`).
    """
    ran_s, counts = await play(programs(wishes), wishes.minutes, logs, tell, total)
    return report(wishes, counts, ran_s)


async def play(
    asked: list[Program], minutes: float | None, logs: Path, tell: Tell, together: Together
) -> tuple[float, dict[str, Any]]:
    """Run `asked` until their time is over, or SIGINT or SIGTERM; return how long that was, s, and their last counts.

    Raises InvalidError for what a process could not understand, EdgeWattError (`process_died`).
    """
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    began, children = time.monotonic(), [await launch(program, logs) for program in asked]
    counts: dict[str, Any] = {}
    try:
        while not stop.is_set() and (minutes is None or time.monotonic() - began < minutes * 60):
            require_alive(children)
            counts = together(filter(None, map(newest, children))) or counts
            tell(counts)
            await _rest(stop)
    finally:
        await asyncio.gather(*(child.end(POLITE_S) for child in children))
    return time.monotonic() - began, counts


def report(wishes: FleetWishes, counts: dict[str, Any], ran_s: float) -> dict[str, Any]:
    """Return what is printed at the end; every figure of the fleet is simulated."""
    faults = sorted(filter(None, wishes.faults.split(",")))
    asked = {"seed": wishes.seed, "mix": wishes.mix, "faults": faults, "broker": wishes.broker}
    return {"ran_s": round(ran_s, 1), **asked, "processes": wishes.shares, **counts, "simulated": True}


def require_alive(children: Iterable[Child]) -> None:
    """Raise InvalidError for what a process could not understand, EdgeWattError (`process_died`) when one died."""
    for child in children:
        if child.alive:
            continue
        said = newest(child) or {}
        if "error" in said:
            raise InvalidError(said["error"], code=said.get("code", ""), hint=said.get("hint", ""))
        lines = "\n".join(f"    {line}" for line in child.last_lines())
        raise EdgeWattError(f"{child.program.name} ended; the end of {child.log}:\n{lines}", code="process_died")


def newest(child: Child) -> dict[str, Any] | None:
    """Return the newest document that `child` printed; the log may hold some of earlier processes."""
    with child.log.open("rb") as log:
        log.seek(max(child.log.stat().st_size - TAIL_BYTES, 0))
        lines = [line for line in log.read().split(b"\n")[:-1] if line.startswith(b"{") and line.endswith(b"}")]
    documents = map(json.loads, reversed(lines))
    return next((each for each in documents if each.get("pid") == child.pid), None)


def total(counts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the counts of all processes together."""
    shares = [each for each in counts if "devices" in each]
    if not shares:
        return {}
    commands: Counter[str] = Counter()
    for each in shares:
        commands.update(each["commands"])
    summed = {name: sum(each[name] for each in shares) for name in SUMMED}
    return {**summed, "commands": dict(sorted(commands.items())), "lag_ms": max(each["lag_ms"] for each in shares)}


def live_line(counts: dict[str, Any], ran_s: float) -> str:
    """Return in one line how the fleet is."""
    if not counts:
        return f"{ran_s:4.0f} s  starting"
    commands = ", ".join(f"{n} {phase}" for phase, n in counts["commands"].items()) or "no commands yet"
    return (
        f"{ran_s:4.0f} s  {counts['connected']} of {counts['devices']} connected, {counts['with_model']} with a model; "
        f"{commands}; {counts['reboots']} reboots"
    )


def _program(wishes: FleetWishes, share: int) -> Program:
    given = {
        "devices": wishes.devices,
        "mix": wishes.mix,
        "prefix": wishes.prefix,
        "seed": wishes.seed,
        "faults": wishes.faults,
        "often": wishes.often,
        "broker": wishes.broker,
        "data": wishes.folder,
        "share": share,
        "of": wishes.shares,
        "interval": wishes.interval_s,
        "rate": wishes.rate,
        "speed": wishes.speed,
        "poll": wishes.poll_s,
    }
    flags = (word for name, value in given.items() for word in (f"--{name}", str(value)))
    some = {"minutes": wishes.minutes, "fault-s": wishes.fault_s, "began-at": wishes.began_at}
    more = (word for name, value in some.items() if value is not None for word in (f"--{name}", str(value)))
    keep = ("--record",) if wishes.record else ()
    return python(f"fleet-{share + 1}", "-m", "edge_agent.simulation", "run", *flags, *more, *keep)


async def _rest(stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(LOOK_EVERY_S):
            await stop.wait()
    except TimeoutError:
        return
