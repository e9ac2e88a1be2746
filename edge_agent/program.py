"""The command line on a device."""

import argparse
import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from functools import partial

from broker.errors import EdgeWattError
from broker.hosts import address
from broker.local_policy import in_words
from broker.messages import RuntimeInfo
from broker.paho import PahoLink
from broker.systemd import Systemd
from edge_agent import enroll, power, vitals
from edge_agent.alone import alone_in
from edge_agent.benchmark import grammar as benchmark
from edge_agent.checkup import clock_at, look
from edge_agent.compose import Parts, agent_version, compose, identify, machine, will
from edge_agent.download import Downloader
from edge_agent.duty import sleep
from edge_agent.flags import add_settings, settings_of
from edge_agent.inputs.chosen import chosen
from edge_agent.known_runtimes import known
from edge_agent.policy import Rules
from edge_agent.runtimes import Working, working
from edge_agent.runtimes.installed import installed
from edge_agent.serving import Server
from edge_agent.settings import Settings

log = logging.getLogger(__name__)

USAGE, FAILED, RESTART = 2, 1, 75
"""Exit codes: bad settings, a failure; 75 is inside only: begin anew."""

USAGE_CODES = frozenset({"bad_setting", "bad_id", "bad_url", "extra_missing", "port_taken"})


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line; every failure is a sentence and an exit code."""
    arguments = parser().parse_args(argv)
    try:
        code = arguments.run(arguments)
    except EdgeWattError as error:
        print(f"error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"hint:  {error.hint}", file=sys.stderr)
        code = USAGE if error.code in USAGE_CODES else FAILED
    if code == RESTART:
        os.execv(sys.executable, [sys.executable, "-m", "edge_agent", *(argv or sys.argv[1:])])  # noqa: S606 - ourselves
    raise SystemExit(code)


def parser() -> argparse.ArgumentParser:
    """Return the grammar of the command line."""
    top = argparse.ArgumentParser(prog="edgewatt-agent", description="EdgeWatt's agent on a device.")
    commands = top.add_subparsers(required=True, metavar="run | check | enroll | bench | bench-join | version")
    run = commands.add_parser("run", help="join the fleet and work until stopped")
    add_settings(run)
    run.set_defaults(run=_run)
    check = commands.add_parser("check", help="say what this device can do")
    add_settings(check)
    check.set_defaults(run=_check)
    enroll.add_to(commands)
    benchmark.add_to(commands)
    commands.add_parser("version", help="print the version").set_defaults(run=_version)
    return top


def _run(arguments: argparse.Namespace) -> int:
    settings = settings_of(arguments)
    host, port = _reachable(settings)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    if not (clock := clock_at(time.time())).fine:
        log.warning("this clock is not set: %s", clock.text)
    with alone_in(settings.data):
        return RESTART if asyncio.run(serve(settings, host, port)) else 0


def _reachable(settings: Settings) -> tuple[str, int]:
    """Return where the broker is, once nothing of what its connection needs is wrong. Raises EdgeWattError."""
    host, port, with_tls = address(settings.broker)
    who = settings.credentials
    if with_tls:
        who.context()
    return host, port


async def serve(settings: Settings, host: str, port: int) -> bool:
    """Run an agent until SIGTERM or SIGINT, asleep in between where it has a duty cycle; return whether to begin anew.

    Each waking is a life of its own, as after a reboot. An agent that sleeps by exit prints when to start it again.
    """
    runtimes, leaving = _runtimes(settings), asyncio.Event()
    async with Systemd.of().attended(time.monotonic):
        while True:
            again, wake_at = await _live(settings, host, port, runtimes, leaving)
            if wake_at is None or leaving.is_set():
                return again
            if settings.sleep_by == "exit":
                print(f"{wake_at:.0f}")
                return False
            if not await sleep(wake_at - time.time(), leaving):
                return False


async def _live(
    settings: Settings, host: str, port: int, found: Sequence[Working], leaving: asyncio.Event
) -> tuple[bool, float | None]:
    """Live once; return whether a new process should follow, and when to wake (Unix s) if it goes to sleep."""
    identity = identify(settings, ip=vitals.own_ip(host, port))
    parts = Parts(
        runtimes=tuple(one.runtime for one in found),
        runtime_infos=tuple(one.info for one in found),
        machine=machine(settings, identity.device_type),
        downloader=Downloader(ca_file=settings.ca_file),
        server=partial(Server, inputs=chosen(settings.input, settings.data)),
    )
    said = will(identity, settings.interval_s)
    async with PahoLink(settings.broker, settings.id, will=said, credentials=settings.credentials) as link:
        agent = compose(settings, identity=identity, link=link, parts=parts)

        def leave() -> None:
            leaving.set()
            agent.stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, leave)
        logging.getLogger("edge_agent").addHandler(agent.log_lines)
        try:
            return await agent.run(), agent.duty.wake_at if agent.duty else None
        finally:
            logging.getLogger("edge_agent").removeHandler(agent.log_lines)


def _runtimes(settings: Settings) -> Sequence[Working]:
    """Return the runtimes that work here, and say what does not."""
    asked = f"threads={settings.threads} provider={settings.provider}"
    runtimes = installed(settings.threads, settings.provider)
    found, rejected = known(settings.data / "runtimes.json", runtimes, asked=asked)
    for refused in rejected:
        log.info("no %s: %s", refused.what, refused.reason)
    if not found:
        log.warning("no runtime works here, so no model can be deployed; `edgewatt-agent check` says what to install")
    return found


def _check(arguments: argparse.Namespace) -> int:
    settings = settings_of(arguments)
    _reachable(settings)
    board = vitals.board_name()
    device_type = settings.device_type or vitals.device_type(board)
    found, rejected = working(installed(settings.threads, settings.provider))
    sensor = machine(settings, device_type).meter.sensor
    print(f"id            {settings.id}")
    print(f"device type   {device_type}{f' ({board})' if board else ''}")
    for one in found:
        print(f"runtime       {_described(one.info)}")
    for refused in rejected:
        print(f"no runtime    {refused.reason}{f' ({refused.hint})' if refused.hint else ''}")
    print(f"energy        {f'{sensor.source}, {sensor.rail}' if sensor else 'no meter, and no model of this board'}")
    for said in power.refused():
        print(f"no meter      {said}")
    rules = Rules.of(settings)
    print(f"policy        {in_words(rules.policy(), rules.fault)}")
    seen = look(settings, now=time.time())
    print(*seen, sep="\n")
    return 0 if found and all(each.fine for each in seen) else FAILED


def _described(info: RuntimeInfo) -> str:
    """Return in one line what a runtime can do here."""
    newest = f" up to opset {info.opset_max} (IR {info.ir_max})" if info.opset_max is not None else ""
    threads = f"{info.threads} thread{'' if info.threads == 1 else 's'}"
    return f"{info.name} {info.version}: {', '.join(info.formats)}{newest}, on {' or '.join(info.providers)}, {threads}"


def _version(_arguments: argparse.Namespace) -> int:
    print(agent_version())
    return 0
