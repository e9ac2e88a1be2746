"""Runs a share of a simulated fleet, or reads afterwards what its devices wrote down.

`run` prints one JSON object a line about its devices every second, and a last one when it ends.
"""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from broker.errors import EdgeWattError
from broker.hosts import address
from edge_agent.simulation.audit import audit
from edge_agent.simulation.device import Run, device
from edge_agent.simulation.faults import Faults, names_in, planned
from edge_agent.simulation.fleet import Fleet
from edge_agent.simulation.logs import ByDevice
from edge_agent.simulation.mix import DEFAULT, Member, members, parts_in
from edge_agent.simulation.trace import trace

USAGE = 2
WORKERS = 8
"""Threads of one process for what blocks: connecting, downloads, hashing."""

TELL_EVERY_S = 1.0
FAR_S = 86_400.0
"""Faults are planned for a day when no end is given."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; every failure is a sentence and an exit code."""
    arguments = parser().parse_args(argv)
    try:
        return int(arguments.do(arguments))
    except EdgeWattError as error:
        said = {"pid": os.getpid(), "error": error.message, "code": error.code, "hint": error.hint}
        print(json.dumps(said), flush=True)
        return USAGE


def parser() -> argparse.ArgumentParser:
    """Return the grammar of the command line."""
    top = argparse.ArgumentParser(prog="python -m edge_agent.simulation", description="Simulated devices.")
    commands = top.add_subparsers(required=True, metavar="run | trace | audit")
    run = commands.add_parser("run", help="be every --of-th device of a fleet, beginning with --share")
    _add_fleet(run)
    run.add_argument("--broker", default="mqtt://127.0.0.1:1883")
    run.add_argument("--data", type=Path, required=True)
    run.add_argument("--share", type=int, default=0)
    run.add_argument("--of", type=int, default=1)
    run.add_argument("--interval", type=float, default=5.0)
    run.add_argument("--rate", type=float, default=1.0)
    run.add_argument("--speed", type=float, default=1.0, help="of probes, 0 for at once")
    run.add_argument("--poll", type=float, default=5.0, help="seconds between two looks at what a device waits for")
    run.add_argument("--began-at", type=float, help="Unix time at which the run began, for one that goes on")
    run.add_argument("--record", action="store_true", help="keep what `audit` reads")
    run.set_defaults(do=_run)
    traced = commands.add_parser("trace", help="print the figures of the first device's life, a JSON object a line")
    _add_fleet(traced)
    traced.set_defaults(do=_trace)
    audited = commands.add_parser("audit", help="say as JSON what the journals in DATA prove")
    audited.add_argument("data", type=Path)
    audited.set_defaults(do=_audit)
    return top


def _add_fleet(command: argparse.ArgumentParser) -> None:
    command.add_argument("--devices", type=int, default=1)
    command.add_argument("--mix", default=DEFAULT)
    command.add_argument("--prefix", default="sim")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--faults", default="")
    command.add_argument("--often", type=float, default=1.0, help="how much more frequent faults are")
    command.add_argument("--minutes", type=float)
    command.add_argument("--fault-s", type=float, help="how long things go wrong; by default all the time")


def _run(arguments: argparse.Namespace) -> int:
    address(arguments.broker)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    ours = logging.getLogger("edge_agent")
    ours.setLevel(logging.INFO)
    ours.addHandler(ByDevice())
    ours.propagate = False
    return asyncio.run(_live(arguments))


async def _live(arguments: argparse.Namespace) -> int:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="connecting") as pool:
        loop.set_default_executor(ThreadPoolExecutor(WORKERS, thread_name_prefix="blocking"))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        if arguments.minutes is not None:
            loop.call_later(arguments.minutes * 60, stop.set)
        fleet = _fleet(arguments, pool)
        telling = asyncio.create_task(_tell(fleet))
        await fleet.live(stop)
        telling.cancel()
        print(json.dumps(fleet.counts() | {"ended": True}), flush=True)
    return 0


def _fleet(arguments: argparse.Namespace, pool: ThreadPoolExecutor) -> Fleet:
    ran_s = 0.0 if arguments.began_at is None else time.time() - arguments.began_at
    run = Run(
        began=time.monotonic() - ran_s,
        broker=arguments.broker,
        folder=arguments.data,
        seed=arguments.seed,
        interval_s=arguments.interval,
        rate=arguments.rate,
        speed=arguments.speed,
        poll_s=arguments.poll,
        recorded=arguments.record,
        pool=pool,
    )
    ours = _members(arguments)[arguments.share :: arguments.of]
    return Fleet(devices=[device(run, member, _faults(arguments, member.id)) for member in ours])


def _members(arguments: argparse.Namespace) -> tuple[Member, ...]:
    return members(parts_in(arguments.mix), arguments.devices, seed=arguments.seed, prefix=arguments.prefix)


def _faults(arguments: argparse.Namespace, device_id: str) -> Faults:
    run_s = FAR_S if arguments.minutes is None else arguments.minutes * 60
    run_s = run_s if arguments.fault_s is None else arguments.fault_s
    names = names_in(arguments.faults)
    return planned(names, seed=arguments.seed, device_id=device_id, run_s=run_s, often=arguments.often)


async def _tell(fleet: Fleet) -> None:
    while True:
        await asyncio.sleep(TELL_EVERY_S)
        print(json.dumps(fleet.counts()), flush=True)


def _trace(arguments: argparse.Namespace) -> int:
    [first, *_] = _members(arguments)
    run_s = (arguments.minutes or 60.0) * 60
    for moment in trace(first, _faults(arguments, first.id), seed=arguments.seed, run_s=run_s):
        print(json.dumps({"device_id": first.id, "simulated": True, **asdict(moment)}))
    return 0


def _audit(arguments: argparse.Namespace) -> int:
    for found in audit(arguments.data):
        print(json.dumps(asdict(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
