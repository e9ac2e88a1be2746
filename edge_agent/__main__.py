"""The command line on a device: run, check, bench, version."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Lock
from typing import Any

from broker.commands import Probe
from broker.errors import EdgeWattError
from broker.paho import PahoLink, address
from edge_agent import power, vitals
from edge_agent.alone import alone_in
from edge_agent.bench import measure
from edge_agent.compose import Parts, agent_version, compose, identify, machine, will
from edge_agent.known_runtimes import known
from edge_agent.runtimes import choose, working
from edge_agent.runtimes.onnx import OnnxRuntime
from edge_agent.settings import Settings, load, tags_from

log = logging.getLogger(__name__)

USAGE, FAILED, RESTART = 2, 1, 75
"""Exit codes: bad settings, a failure; 75 is inside only: begin anew."""

HEATS_AFTER_S = 30.0


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line; every failure is a sentence and an exit code."""
    arguments = parser().parse_args(argv)
    try:
        code = arguments.run(arguments)
    except EdgeWattError as error:
        print(f"error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"hint:  {error.hint}", file=sys.stderr)
        code = USAGE if error.code in ("bad_setting", "bad_id", "bad_url") else FAILED
    if code == RESTART:
        os.execv(sys.executable, [sys.executable, "-m", "edge_agent", *(argv or sys.argv[1:])])  # noqa: S606 - ourselves
    raise SystemExit(code)


def parser() -> argparse.ArgumentParser:
    """Return the grammar of the command line."""
    top = argparse.ArgumentParser(prog="edgewatt-agent", description="EdgeWatt's agent on a device.")
    commands = top.add_subparsers(required=True, metavar="run | check | bench | version")
    run = commands.add_parser("run", help="join the fleet and work until stopped")
    _settings_flags(run)
    run.set_defaults(run=_run)
    check = commands.add_parser("check", help="say what this device can do")
    _settings_flags(check)
    check.set_defaults(run=_check)
    bench = commands.add_parser("bench", help="measure a model file here")
    bench.add_argument("model", type=Path)
    bench.add_argument("--inferences", type=int, default=200)
    bench.add_argument("--warmup", type=int, default=10)
    bench.add_argument("--min-s", type=float, default=0.0)
    _settings_flags(bench)
    bench.set_defaults(run=_bench)
    commands.add_parser("version", help="print the version").set_defaults(run=_version)
    return top


def _settings_flags(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--settings", type=Path, metavar="FILE", help="a TOML file with the names below, without dashes")
    add("--id", help="device id; by default made of the host's name")
    add("--broker", metavar="URL", help="mqtt://host:1883")
    add("--data", type=Path, metavar="DIR", help="where models and journal live")
    add("--device-type", metavar="TYPE", help="such as raspberry_pi_5; by default read from the board")
    add("--tag", action="append", metavar="K=V", dest="tags", help="may be given more than once")
    add("--simulate", action="store_true", default=None, help="play the board of --device-type; figures say so")
    add(
        "--simulate-throttle",
        nargs="?",
        type=float,
        const=HEATS_AFTER_S,
        metavar="SECONDS",
        dest="heats_after_s",
        help=f"heat up and throttle that long after the first inference (default {HEATS_AFTER_S:g})",
    )
    add("--battery-wh", type=float, metavar="WH", help="the battery behind the board, for advice on how long it lasts")
    add("--solar-wh", type=float, dest="solar_wh_per_day", metavar="WH", help="what a panel yields in a day")
    add("--rate", type=float, help="inferences per second (default 1)")
    add(
        "--interval", type=float, dest="interval_s", metavar="SECONDS", help="between two telemetry samples (default 5)"
    )
    add("--seed", type=int, help="of simulated noise")
    add("--threads", type=int, help="of the runtime (default 1)")
    add(
        "--meter", help="what measures power: auto (default), ina3221, tegrastats, hwmon, pmic, rapl, nvml, model, none"
    )
    add("--allow-host", action="append", dest="allow_hosts", metavar="HOST", help="artifacts may come from there too")
    add("--username")
    add("--password", help="better in EDGEWATT_PASSWORD")


def _settings(arguments: argparse.Namespace) -> Settings:
    mine = {"run", "settings", "model", "inferences", "warmup", "min_s"}
    flags: dict[str, Any] = {name: value for name, value in vars(arguments).items() if name not in mine}
    if flags.get("tags") is not None:
        flags["tags"] = tags_from(flags["tags"])
    if flags.get("heats_after_s") is not None:
        flags["simulate"] = True
    return load(flags, file=arguments.settings)


def _run(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments)
    host, port, _ = address(settings.broker)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    with alone_in(settings.data):
        return RESTART if asyncio.run(serve(settings, host, port)) else 0


async def serve(settings: Settings, host: str, port: int) -> bool:
    """Run an agent until SIGTERM or SIGINT; return whether it wants to begin anew."""
    identity = identify(settings, ip=vitals.own_ip(host, port))
    runtimes = (OnnxRuntime(threads=settings.threads),)
    infos, rejected = known(settings.data / "runtimes.json", runtimes)
    for one in rejected:
        log.warning("no %s: %s", one.what, one.reason)
    parts = Parts(runtimes=runtimes, runtime_infos=infos, machine=machine(settings, identity.device_type))
    said = will(identity, settings.interval_s)
    async with PahoLink(
        settings.broker, settings.id, will=said, username=settings.username, password=settings.password
    ) as link:
        agent = compose(settings, identity=identity, link=link, parts=parts)
        logging.getLogger("edge_agent").addHandler(agent.log_lines)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, agent.stop.set)
        return await agent.run()


def _check(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments)
    board = vitals.board_name()
    device_type = settings.device_type or vitals.device_type(board)
    found, rejected = working((OnnxRuntime(threads=settings.threads),))
    sensor = machine(settings, device_type).meter.sensor
    print(f"id            {settings.id}")
    print(f"device type   {device_type}{f' ({board})' if board else ''}")
    for one in found:
        print(f"runtime       {one.runtime.name} {one.version}, reads {', '.join(one.runtime.formats)}")
    for refused in rejected:
        print(f"no runtime    {refused.reason}")
    print(f"energy        {f'{sensor.source}, {sensor.rail}' if sensor else 'no meter, and no model of this board'}")
    for said in power.refused():
        print(f"no meter      {said}")
    print(f"broker        {settings.broker}")
    return 0 if found else FAILED


def _bench(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments)
    here = machine(settings, settings.device_type or vitals.device_type(vitals.board_name()))
    form = arguments.model.suffix.removeprefix(".")
    runtime, _ = choose(form, (OnnxRuntime(threads=settings.threads),))
    session = here.dress(runtime.load(arguments.model))
    probe = Probe(warmup=arguments.warmup, inferences=arguments.inferences, min_s=arguments.min_s)
    measured = measure(session, here.meter, probe, stop=Event(), turn=Lock())
    for name, value in measured.result.items():
        print(f"{name:18} {value}")
    return 0


def _version(_arguments: argparse.Namespace) -> int:
    print(agent_version())
    return 0


if __name__ == "__main__":
    main()
