"""A fleet's telemetry for a while: Mosquitto, a generator and a controller in processes of their own, on this machine.

Every 10 s a line says what went in, what is committed, how old the newest committed sample is, and how REST answered
meanwhile. `--devices 100000 --interval-s 10 --for-s 600` is the long run; `--find-limit` sends more and more until the
controller does not follow, and says which process was at its end. Wants a machine that does nothing else.
"""

import argparse
import asyncio
import itertools
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.scale import row, until
from controller.cli import simulated_light, stack
from controller.cli.ports import some_free
from controller.cli.readiness import answers_http, answers_mqtt
from controller.cli.simulated import newest
from controller.torture.havoc import Havoc
from edge_agent.simulation.mix import DEFAULT

EVERY_S, ASK_EVERY_S = 10.0, 0.5
LAG_S, REST_MS, STALL_MS = 2.0, 300.0, 1_000.0
SETTLE_S, QUIET_S = 60.0, 10.0
RAISE_EVERY_S, RAISE_BY = 15.0, 1.25
AT_ITS_END = 0.9
"""A process that takes so much of a core can do no more."""

PATHS = ("/api/devices?limit=50", "/api/status")
PARTS = ("broker", "fleet-light", "controller")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How it was at one time: counts since the beginning, ages in s, memory in MB, processor time by process, s.

    `machine` is what its processors did since they started, s: idle, waiting for the disk, all together.
    """

    at: float
    per_s: float
    sent: int
    acked: int
    behind_s: float
    committed: int
    lag_s: float
    rss_mb: dict[str, float]
    busy_s: dict[str, float]
    database_mb: float
    machine: tuple[float, float, float]


@dataclass(slots=True)
class Watching:
    """Looks at the processes, and asks the controller what people ask."""

    havoc: Havoc
    place: stack.Stack
    answered_ms: dict[str, list[float]] = field(default_factory=lambda: {path: [] for path in PATHS})

    @property
    def database(self) -> Path:
        """Where the samples are committed."""
        return self.place.data / "controller" / "controller.db"

    def look(self) -> Look:
        """Look at everything once."""
        told = newest(self.havoc.children["fleet-light"]) or {}
        processes = {name: psutil.Process(self.havoc.children[name].pid) for name in PARTS}
        times = {name: process.cpu_times() for name, process in processes.items()}
        committed, ts = self.newest()
        files, machine = self.database.parent.glob(f"{self.database.name}*"), psutil.cpu_times()
        return Look(
            at=time.time(),
            per_s=told.get("per_s", 0.0),
            sent=told.get("sent", 0),
            acked=told.get("acked", 0),
            behind_s=told.get("behind_s", 0.0),
            committed=committed,
            lag_s=time.time() - ts if ts else 0.0,
            rss_mb={name: process.memory_info().rss / 1e6 for name, process in processes.items()},
            busy_s={name: each.user + each.system for name, each in times.items()},
            database_mb=sum(each.stat().st_size for each in files) / 1e6,
            machine=(machine.idle, getattr(machine, "iowait", 0.0), sum(machine)),
        )

    def newest(self) -> tuple[int, float]:
        """Return how many samples are committed, and when the newest was sent (Unix s, 0 before there is one)."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as reading:
            found = reading.execute("SELECT rowid, ts FROM telemetry ORDER BY rowid DESC LIMIT 1").fetchone()
        return found or (0, 0.0)

    async def ask(self) -> None:
        """Ask as somebody does who watches, for ever."""
        async with httpx.AsyncClient(base_url=self.place.controller_url, timeout=60.0) as client:
            for path in itertools.cycle(PATHS):
                began = time.perf_counter()
                (await client.get(path)).raise_for_status()
                self.answered_ms[path].append(1e3 * (time.perf_counter() - began))
                await asyncio.sleep(ASK_EVERY_S)


def main() -> None:
    """Print a line every 10 s, then one row per figure."""
    asked = _arguments()
    if stack.chosen_broker("auto") != "mosquitto":
        print("skipped: mosquitto is not installed (apt-get install mosquitto)")
        return
    with tempfile.TemporaryDirectory(prefix="edgewatt-sustained-", dir=asked.folder) as folder:
        asyncio.run(measure(Path(folder), asked))


async def measure(folder: Path, asked: argparse.Namespace) -> None:
    """Start everything, let the devices register, and watch."""
    mqtt_port, port = some_free(2)
    place = stack.Stack(data=folder, broker="mosquitto", mqtt_port=mqtt_port, port=port, dashboard_port=0)
    place.logs.mkdir()
    havoc = Havoc(place.logs)
    watching = Watching(havoc, place)
    try:
        await havoc.start(stack.broker_program(place))
        await until(partial(answers_mqtt, place.mqtt_port))
        await havoc.start(stack.controller_program(place))
        await until(partial(answers_http, place.port, "/readyz"))
        await havoc.start(generator(place, asked))
        settled = await settle(watching, SETTLE_S + 3 * asked.devices / asked.register_per_s)
        asking = asyncio.create_task(watching.ask())
        looks = [settled, *[each async for each in watch(watching, asked, asking)]]
        asking.cancel()
        if asked.find_limit:
            tell_limit(looks)
        else:
            lost, doubled = await account(watching)
            tell(watching, looks, asked, lost=lost, doubled=doubled)
    finally:
        await havoc.end(tuple(havoc.children), 30.0)


def generator(place: stack.Stack, asked: argparse.Namespace) -> Any:
    """Return the process that speaks for the fleet."""
    wishes = simulated_light.LightWishes(
        devices=asked.devices,
        mix=DEFAULT,
        seed=1,
        broker=place.broker_url,
        connections=asked.connections,
        interval_s=asked.interval_s,
    )
    more = ("--register-s", str(asked.devices / asked.register_per_s))
    if asked.find_limit:
        more += ("--raise-every-s", str(RAISE_EVERY_S), "--raise-by", str(RAISE_BY))
    return simulated_light.program(wishes, *more)


async def settle(watching: Watching, within_s: float) -> Look:
    """Wait until telemetry flows and what came with the registration is worked off."""
    began = time.monotonic()
    while time.monotonic() - began < within_s:
        await asyncio.sleep(1.0)
        look = await asyncio.to_thread(watching.look)
        if look.sent and look.committed and look.lag_s < LAG_S:
            print(f"all registered and heard after {time.monotonic() - began:.0f} s", flush=True)
            return look
    raise SystemExit(f"the controller did not catch up within {within_s:.0f} s")


async def watch(watching: Watching, asked: argparse.Namespace, asking: asyncio.Task[None]) -> Any:
    """Yield a look every second until the time is over, or the controller does not follow any more."""
    began, before, told_at = time.monotonic(), watching.look(), time.monotonic()
    while time.monotonic() - began < asked.for_s:
        await asyncio.sleep(1.0)
        if asking.done():
            asking.result()
        look = await asyncio.to_thread(watching.look)
        yield look
        if time.monotonic() - told_at >= EVERY_S:
            say(look, before, watching, time.monotonic() - began)
            before, told_at = look, time.monotonic()
        if asked.find_limit and max(look.lag_s, look.behind_s) > 2 * LAG_S:
            return


def say(look: Look, before: Look, watching: Watching, ran_s: float) -> None:
    """Print how the last seconds were."""
    took_s = look.at - before.at
    newest_ms = {path: ms[-int(EVERY_S / ASK_EVERY_S / 2) :] for path, ms in watching.answered_ms.items() if ms}
    answers = "; ".join(
        f"{path} p50 {statistics.median(ms):.0f} max {max(ms):.0f} ms" for path, ms in newest_ms.items()
    )
    print(
        f"{ran_s:4.0f} s  {(look.sent - before.sent) / took_s:,.0f} sent/s, "
        f"{(look.committed - before.committed) / took_s:,.0f} committed/s, lag {look.lag_s:.2f} s, "
        f"generator {look.behind_s:.2f} s behind; RSS controller {look.rss_mb['controller']:.0f} MB, "
        f"broker {look.rss_mb['broker']:.0f} MB; database {look.database_mb:,.0f} MB; {answers}; "
        f"{shares(look, before)}",
        flush=True,
    )


def shares(look: Look, before: Look) -> str:
    """Return in words how much of a core each process took between two looks."""
    return ", ".join(f"{name} {share:.0%}" for name, share in shared(look, before).items()) + " of a core"


def shared(look: Look, before: Look) -> dict[str, float]:
    """Return how much of a core each process took between two looks."""
    return {name: (look.busy_s[name] - before.busy_s[name]) / (look.at - before.at) for name in PARTS}


async def account(watching: Watching) -> tuple[int, int]:
    """Stop the generator, wait for what it had acknowledged, and return how much was lost and how much is double."""
    child = watching.havoc.children["fleet-light"]
    await child.end(30.0)
    told = newest(child) or {}
    came_at, before = time.monotonic(), -1
    while (committed := watching.newest()[0]) < told["sent"] and time.monotonic() - came_at < QUIET_S:
        if committed != before:
            came_at, before = time.monotonic(), committed
        await asyncio.sleep(0.5)
    with closing(sqlite3.connect(f"file:{watching.database}?mode=ro", uri=True)) as reading:
        [rows] = reading.execute("SELECT count(*) FROM telemetry").fetchone()
    return max(0, told["acked"] - rows), max(0, rows - told["sent"])


def tell(watching: Watching, looks: list[Look], asked: argparse.Namespace, *, lost: int, doubled: int) -> None:
    """Print the figures of the whole time."""
    first, last = looks[0], looks[-1]
    name = f"{asked.devices:,} devices every {asked.interval_s:g} s for {last.at - first.at:.0f} s: "
    rate = (last.committed - first.committed) / (last.at - first.at)
    wanted = f"{asked.devices / asked.interval_s:,.0f}/s asked, the generator {last.behind_s:.2f} s behind at the end"
    row(name + "samples committed", rate, "per s", reference=wanted)
    row(name + "oldest sample not committed, worst", max(each.lag_s for each in looks), "s", LAG_S)
    for part in ("controller", "broker"):
        growth = last.rss_mb[part] - first.rss_mb[part]
        row(name + f"memory gained by the {part}", growth, "MB", reference=f"{last.rss_mb[part]:.0f} MB at the end")
    for path, ms in watching.answered_ms.items():
        told = f"p50 {statistics.median(ms):.0f} ms, {len(ms)} times"
        row(name + f"{path}, p95", statistics.quantiles(ms, n=20)[-1], "ms", REST_MS, told)
    longest = max(max(ms) for ms in watching.answered_ms.values())
    row(name + "longest answer", longest, "ms", STALL_MS, "the event loop stood still no longer")
    row(name + "acknowledged and lost", lost, "samples", 0, "among them what the broker had no room for in our session")
    row(name + "stored twice", doubled, "samples", 0)
    print(shares(last, first), flush=True)


def tell_limit(looks: list[Look]) -> None:
    """Print the last rate at which the controller followed, and what was at its end when it did not."""
    followed: dict[float, list[Look]] = {}
    for look in looks:
        followed.setdefault(look.per_s, []).append(look)
    good = [rate for rate, each in followed.items() if rate and max(max(x.lag_s, x.behind_s) for x in each) < LAG_S]
    beyond = followed[looks[-1].per_s]
    first, last = (beyond[0] if len(beyond) > 1 else looks[-2]), looks[-1]
    ends = [part for part, share in shared(last, first).items() if share >= AT_ITS_END]
    idle, waiting, whole = (now - then for now, then in zip(last.machine, first.machine, strict=True))
    free, on_disk = max(0.0, idle) / max(whole, 1e-9), max(0.0, waiting) / max(whole, 1e-9)
    at_its_end = " and ".join(ends) or (
        "every processor of the machine" if free + on_disk < 1 - AT_ITS_END else "no process"
    )
    told = f"at {last.per_s:,.0f}/s {at_its_end} was at its end: {shares(last, first)}; "
    told += f"the machine {free:.0%} idle, {on_disk:.0%} waiting for its disk"
    row("samples per second that are followed", max(good, default=0.0), "per s", reference=told)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=15_000)
    parser.add_argument("--interval-s", type=float, default=5.0, help="seconds between two samples of a device")
    parser.add_argument("--for-s", type=float, default=25.0)
    parser.add_argument("--connections", type=int, default=4, help="over which all devices speak")
    parser.add_argument("--register-per-s", type=float, default=1_000.0, help="devices that register in a second")
    parser.add_argument("--find-limit", action="store_true", help="send a quarter more every 15 s (give --for-s)")
    parser.add_argument("--folder", help="where the database is written; by default where temporary files go")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
