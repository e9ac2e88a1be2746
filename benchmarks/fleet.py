"""A thousand simulated devices on one controller over Mosquitto: how fast they come, answer, and come back."""

import asyncio
import contextlib
import json
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from broker.link import Connected
from broker.looped import LoopedLink
from broker.topics import CMD
from controller.cli import stack
from controller.cli.ports import some_free
from controller.cli.readiness import answers_http, answers_mqtt, wait_until
from controller.cli.simulated import FleetWishes, programs
from controller.client import Client
from controller.torture.havoc import Havoc

DEVICES = int(os.environ.get("EDGEWATT_BENCH_DEVICES", "1000"))
MIX = "jetson_nano_2gb:40,raspberry_pi_5:40,beaglebone_black:20"
MODEL = "digits_mlp"
MEMORY = Path("/dev/shm")
"""Where the devices' files are: a thousand boards do not share one disk. Broker and controller have a real one."""

PATIENCE_S = 180.0
LOOK_S = 0.05
ASKING = 8
"""Requests at one time, as a script that deploys to a fleet would make them."""

ACCEPTED_S, BROKER_S, CONTROLLER_S = 5.0, 15.0, 10.0


def main() -> None:
    """Print one row per figure."""
    if stack.chosen_broker("auto") != "mosquitto":
        print("skipped: mosquitto is not installed (apt-get install mosquitto)")
        return
    with (
        tempfile.TemporaryDirectory(prefix="edgewatt-fleet-") as folder,
        tempfile.TemporaryDirectory(prefix="edgewatt-flash-", dir=MEMORY if MEMORY.is_dir() else None) as flash,
    ):
        asyncio.run(measure(Path(folder), Path(flash)))


async def measure(folder: Path, flash: Path) -> None:
    """Bring the fleet up with its files in `flash`, ask it, and kill what it depends on."""
    mqtt_port, port = some_free(2)
    place = stack.Stack(data=folder, broker="mosquitto", mqtt_port=mqtt_port, port=port, dashboard_port=0)
    place.logs.mkdir()
    havoc, database = Havoc(place.logs), folder / "controller" / "controller.db"
    try:
        await havoc.start(stack.broker_program(place))
        await until(partial(answers_mqtt, place.mqtt_port))
        controller = stack.controller_program(place)
        quick = ("--probe-inferences", "5", "--soak-s", "0")
        await havoc.start(replace(controller, argv=(*controller.argv, *quick)))
        await until(partial(answers_http, place.port, "/readyz"))
        began = time.time()
        for program in fleet(place, flash):
            await havoc.start(program)
        row("devices live, from their start", await until(lambda: live_since(database, began)))
        await ask(place, database)
        for name, budget_s in (("broker", BROKER_S), ("controller", CONTROLLER_S)):
            killed_at = time.time()
            await havoc.children[name].kill()
            await havoc.start(havoc.children[name].program)
            took_s = await until(lambda at=killed_at: live_since(database, at))
            row(f"all live again after kill -9 of the {name}", took_s, budget_s)
    finally:
        if keep := os.environ.get("EDGEWATT_BENCH_KEEP"):
            shutil.copytree(place.logs, keep, dirs_exist_ok=True)
        await havoc.end(tuple(havoc.children), 20.0)


async def ask(place: stack.Stack, database: Path) -> None:
    """Give every device an order over MQTT, then one and a deployment by REST."""
    with Client(place.controller_url, timeout=30.0) as client, ThreadPoolExecutor(ASKING) as hands:
        ids = [each["id"] for each in client.devices(limit=DEVICES)["devices"]]
        if len(ids) != DEVICES:
            raise SystemExit(f"{len(ids)} devices are listed, not {DEVICES}")
        began = time.monotonic()
        await publish(place, ids)
        published_s = time.monotonic() - began
        await until(lambda: count(database, answered("info")) == DEVICES)
        row("a command accepted by all", time.monotonic() - began, ACCEPTED_S, f"publishing took {published_s:.1f} s")
        cases: tuple[tuple[str, Callable[[str], object], str], ...] = (
            ("an order by REST to each, accepted by all", partial(client.command, op="ping"), answered("ping")),
            ("a deployment by REST to each, accepted by all", lambda name: client.deploy(name, MODEL), ACCEPTED),
        )
        for name, order, accepted in cases:
            began = time.monotonic()
            loop = asyncio.get_running_loop()
            await asyncio.gather(*(loop.run_in_executor(hands, order, device_id) for device_id in ids))
            asked_s = time.monotonic() - began
            await until(lambda sql=accepted: count(database, sql) == DEVICES)
            row(name, time.monotonic() - began, reference=f"asking took {asked_s:.1f} s")
        row("those deployments ended on all", await until(lambda: count(database, ENDED) == DEVICES))


async def publish(place: stack.Stack, ids: list[str]) -> None:
    """Send `info` to every device as a person does, with QoS 1."""
    async with LoopedLink(place.broker_url, "edgewatt-bench") as link:
        async for event in link.events():
            if isinstance(event, Connected):
                break
        await asyncio.gather(*(link.publish(CMD.topic(device_id), b"info", qos=1) for device_id in ids))


def answered(op: str) -> str:
    """Return the query that counts the devices of which an answer to `op` was heard."""
    return f"SELECT count(DISTINCT device_id) FROM commands WHERE op = '{op}' AND phase IS NOT NULL"


ACCEPTED = (
    "SELECT count(*) FROM deployments WHERE phase NOT IN "
    "('requested', 'predicted', 'gated', 'resolving', 'ready', 'queued', 'sent')"
)
ENDED = "SELECT count(*) FROM deployments WHERE open = 0"


def fleet(place: stack.Stack, flash: Path) -> list[stack.Program]:
    """Return the processes that play the devices."""
    wishes = FleetWishes(devices=DEVICES, mix=MIX, seed=1, broker=place.broker_url, folder=flash, speed=0.0)
    return programs(wishes)


def live_since(database: Path, at: float) -> bool:
    """Return whether every device is online and was heard after `at`."""
    heard = f"SELECT count(*) FROM devices WHERE online = 1 AND reading_at > {at!r}"
    return count(database, heard) == DEVICES


def count(database: Path, sql: str) -> int:
    """Return what `sql` counts, read beside the running controller."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10.0)) as reading:
        [(found,)] = reading.execute(sql)
    return int(found)


async def until(holds: Callable[[], bool]) -> float:
    """Return how many seconds it takes until `holds()`."""
    began = time.monotonic()
    if not await asyncio.to_thread(wait_until, holds, within_s=PATIENCE_S):
        raise SystemExit(f"it did not happen within {PATIENCE_S:.0f} s")
    return time.monotonic() - began


def row(name: str, took_s: float, budget_s: float | None = None, reference: str = "-") -> None:
    """Print a figure."""
    figure: dict[str, object] = {"name": f"{DEVICES} devices: {name}", "value": round(took_s, 1), "unit": "s"}
    if budget_s is not None:
        figure |= {"budget": budget_s, "met": took_s <= budget_s}
    print(json.dumps(figure | {"reference": reference}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
