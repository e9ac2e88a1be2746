"""Speaks for very many devices over a few connections, and prints every second how that goes.

No agents run and no command is answered: it is the load of a fleet, not a fleet. Each line is a JSON object that says
what was sent, what the broker acknowledged, and for how long the next message is overdue.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import os
import secrets
import signal
import ssl
import sys
from collections.abc import Sequence

from broker.credentials import NOBODY
from broker.errors import EdgeWattError, LinkError
from broker.hosts import hosts
from edge_agent.simulation.light.fleet import Light
from edge_agent.simulation.light.publisher import KEEPALIVE_S, Publisher
from edge_agent.simulation.mix import DEFAULT, members, parts_in

USAGE = 2
AGAIN_S = TELL_EVERY_S = 1.0
REGISTERING_PER_S = 1_000
LEAVING_S = 15.0


async def kept(publisher: Publisher, host: str, port: int, tls: ssl.SSLContext | None) -> None:
    """Keep a connection that was made: said to be there, and made again when it is lost."""
    while True:
        await asyncio.sleep(AGAIN_S if not publisher.connected else KEEPALIVE_S / 2)
        if publisher.connected:
            publisher.ping()
        else:
            with contextlib.suppress(LinkError):
                await publisher.connect(host, port, tls=tls)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; every failure is a sentence and an exit code."""
    try:
        return asyncio.run(_run(_arguments().parse_args(argv)))
    except EdgeWattError as error:
        _say({"error": error.message, "code": error.code, "hint": error.hint})
        return USAGE


async def _run(asked: argparse.Namespace) -> int:
    where, loop, stop = hosts(asked.broker), asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    tls, (host, port) = NOBODY.context() if where.tls else None, where.nodes[0]
    publishers = [Publisher(f"{asked.prefix}-light-{n}-{secrets.token_hex(3)}") for n in range(asked.connections)]
    for publisher in publishers:
        await publisher.connect(host, port, tls=tls)
    light = Light(
        fleet=members(parts_in(asked.mix), asked.devices, seed=asked.seed, prefix=asked.prefix),
        publishers=publishers,
        interval_s=asked.interval,
        registering_s=asked.register_s or asked.devices / REGISTERING_PER_S,
        raise_every_s=asked.raise_every_s,
        raise_by=asked.raise_by,
    )
    gc.freeze()  # what is there now stays: it need not be looked at again and again
    others = [asyncio.create_task(kept(publisher, host, port, tls)) for publisher in publishers]
    living = asyncio.create_task(light.live())
    while not stop.is_set():
        _say(light.counts())
        if living.done():
            living.result()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), TELL_EVERY_S)
    living.cancel()
    _say(light.counts() | {"ended": True})
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(light.leave(), LEAVING_S)
    for task in others:
        task.cancel()
    for publisher in publishers:
        publisher.close()
    return 0


def _say(what: dict[str, object]) -> None:
    print(json.dumps({"pid": os.getpid()} | what), flush=True)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m edge_agent.simulation.light", description=__doc__)
    parser.add_argument("--broker", default="mqtt://127.0.0.1:1883")
    parser.add_argument("--devices", type=int, default=1_000)
    parser.add_argument("--mix", default=DEFAULT)
    parser.add_argument("--prefix", default="light")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--interval", type=float, default=5.0, help="seconds between two samples of a device")
    parser.add_argument("--register-s", type=float, help="how long the devices take to register; 1,000 in a second")
    parser.add_argument("--raise-every-s", type=float, help="send more after each so many seconds")
    parser.add_argument("--raise-by", type=float, default=1.25, help="that many times as much")
    return parser


if __name__ == "__main__":
    sys.exit(main())
