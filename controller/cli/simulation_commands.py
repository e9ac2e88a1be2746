"""Commands that play devices: a fleet to look at, and one to break."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from controller.cli.command import command
from controller.cli.console import Console
from controller.cli.exits import Exit

MIX = "jetson_nano_2gb:40,raspberry_pi_5:40,beaglebone_black:20"
LINE_EVERY_S = 10.0
MOST_AGENTS = 20_000

Seed = Annotated[int, typer.Option(help="The same seed plays the same boards and the same faults.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    command(app, "simulate", example="edgewatt simulate --devices 100 --faults cuts,reboots --minutes 10")(_simulate)
    command(app, "torture", example="edgewatt torture --minutes 5 --seed 1")(_torture)


def _simulate(
    console: Console,
    *,
    devices: Annotated[int, typer.Option(help="How many.", min=1, max=1_000_000)] = 100,
    mix: Annotated[str, typer.Option(metavar="BOARD:SHARE,…", help="Boards and their shares.")] = MIX,
    seed: Seed = 0,
    faults: Annotated[
        str, typer.Option(metavar="NAME,…", help="cuts, reboots, latency, loss, duplicates, reorder, flash_full, …")
    ] = "",
    often: Annotated[float, typer.Option(help="How much more frequent faults are than usual.", min=0.01)] = 1.0,
    broker: Annotated[str | None, typer.Option(metavar="URL", help="The broker [EDGEWATT_BROKER_URL].")] = None,
    minutes: Annotated[float | None, typer.Option(help="How long; without it until Ctrl-C.", min=0.01)] = None,
    interval: Annotated[float, typer.Option(help="Seconds between two samples of a device.", min=0.1)] = 5.0,
    rate: Annotated[float, typer.Option(help="Inferences per second of a device.", min=0.01)] = 1.0,
    processes: Annotated[int | None, typer.Option(help="By default one per core.", min=1, max=64)] = None,
    data: Annotated[Path, typer.Option(help="Where the devices keep journals and models.")] = Path(
        ".edgewatt/simulate"
    ),
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what an earlier run left in the data folder.")] = False,
    light: Annotated[
        bool,
        typer.Option("--light", help="Telemetry alone, for very many devices: no agents run, no command is taken."),
    ] = False,
    connections: Annotated[int, typer.Option(help="Of a light fleet, all its devices together.", min=1, max=64)] = 4,
) -> None:
    """Play a fleet of boards on this machine: the agent that devices run, in a few processes.

    Power, heat, battery, sun, clock, network and flash follow from the seed; every figure says `simulated`. A line on
    stderr tells how the fleet is; a JSON report on stdout ends it. With `--light` devices register and send telemetry,
    evenly and over few connections: the load of 100,000 on one core, and it says when it falls behind its schedule.
    """
    import asyncio  # noqa: PLC0415 - imported on use

    from broker.errors import InvalidError  # noqa: PLC0415
    from broker.hosts import address  # noqa: PLC0415
    from controller.cli.data_folder import held  # noqa: PLC0415
    from controller.cli.settings import setting  # noqa: PLC0415
    from controller.cli.simulated import FleetWishes, live_line, simulate  # noqa: PLC0415
    from controller.cli.simulated_light import LightWishes, light_line, simulate_light  # noqa: PLC0415

    url = setting("broker_url", broker)
    address(url)
    if light and faults:
        raise InvalidError("a light fleet has no faults", hint="leave out --light or --faults", field="faults")
    if not light and devices > MOST_AGENTS:
        hint = "add --light: telemetry alone, without agents"
        raise InvalidError(f"{devices:,} agents are too many for one machine", hint=hint, field="devices")
    with held(data, fresh=fresh) as folder:
        if light:
            speaking = LightWishes(
                devices=devices,
                mix=mix,
                seed=seed,
                broker=url,
                connections=connections,
                interval_s=interval,
                minutes=minutes,
            )
            report = asyncio.run(simulate_light(speaking, folder / "logs", _teller(console, light_line)))
            console.line(report, json.dumps(report))
            return
        wishes = FleetWishes(
            devices=devices,
            mix=mix,
            seed=seed,
            broker=url,
            folder=folder / "agents",
            faults=faults,
            minutes=minutes,
            processes=processes,
            interval_s=interval,
            rate=rate,
            often=often,
        )
        report = asyncio.run(simulate(wishes, folder / "logs", _teller(console, live_line)))
        console.say(f"the devices' journals and models are in {folder} (kept; --fresh begins anew)")
    console.line(report, json.dumps(report))


def _torture(
    console: Console,
    *,
    minutes: Annotated[float, typer.Option(help="How long things are broken; then they may settle.", min=0.05)] = 5.0,
    seed: Seed = 0,
    trials: Annotated[int | None, typer.Option(help="Stop breaking after so many commands.", min=1)] = None,
    devices: Annotated[int, typer.Option(help="How many simulated devices.", min=1, max=2_000)] = 20,
    broker: Annotated[
        Literal["amqtt", "mosquitto", "nats", "auto"], typer.Option(help="auto takes mosquitto, else nats, else amqtt.")
    ] = "auto",
    data: Annotated[Path, typer.Option(help="Where everything is kept; emptied first.")] = Path(".edgewatt/torture"),
) -> int:
    """Break broker, controller, agents, network, disks and clocks while commands are given; prove that none is lost.

    The last line on stdout counts commands that were lost, applied twice, never ended, and devices without a working
    model; what was found comes before it. The exit code is 1 when anything was.
    """
    import asyncio  # noqa: PLC0415 - imported on use

    from controller.cli.data_folder import held  # noqa: PLC0415
    from controller.torture.run import Wishes, torture  # noqa: PLC0415

    with held(data, fresh=True) as folder:
        wishes = Wishes(minutes=minutes, seed=seed, devices=devices, trials=trials, broker=broker, data=folder)
        outcome = asyncio.run(torture(wishes, console.say))
    for kind, sentences in outcome.verdict.faults.items():
        for sentence in sentences:
            console.line({"fault": kind, "what": sentence}, f"{kind}: {sentence}")
    facts = {"seed": seed, "devices": devices, "killed": dict(outcome.killed), "not_taken": outcome.refused}
    facts |= {"ran_s": round(outcome.ran_s, 1), "settled_s": outcome.settled_s and round(outcome.settled_s, 1)}
    console.say(json.dumps(facts))
    print(json.dumps(outcome.verdict.summary))
    return Exit.DONE if outcome.verdict.clean else Exit.FAILED


def _teller(console: Console, in_words: Callable[[dict[str, Any], float], str]) -> Any:
    """Return what shows the counts: one line that is written over on a terminal, else a line now and then."""
    began, said_at, drawn = time.monotonic(), float("-inf"), sys.stderr.isatty() and not console.quiet

    def tell(counts: dict[str, Any]) -> None:
        nonlocal said_at
        line = in_words(counts, time.monotonic() - began)
        if drawn:
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - said_at >= LINE_EVERY_S:
            said_at = time.monotonic()
            console.say(line)

    return tell
