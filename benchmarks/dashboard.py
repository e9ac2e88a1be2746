"""The dashboard over a thousand devices with a past: seconds and bytes of each page, memory while it is watched.

`--deep` of the `--devices` have a sample a minute for all of the `--days` (`--all`: every one, some 43 million), the
others for the last hour. `--watch-s 3600` keeps every part of the pages drawing itself for an hour. `--data FOLDER`
keeps what was filled there, and finds it there the next time.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import httpx
import psutil

from benchmarks._seeded_fleet import fill
from benchmarks._streamlit_session import Run, Session
from controller.cli import stack
from controller.cli.ports import some_free
from controller.cli.readiness import answers_http, answers_mqtt, wait_until
from controller.torture.havoc import Havoc

DEVICE = "edge-0000"
PAGES = (
    ("fleet", "", ""),
    ("fleet, sorted and filtered", "", "order=dearest+first&tag=line%3DB"),
    *((f"device, {span}", "device", f"id={DEVICE}&range={span}") for span in ("15min", "24h", "7d", "30d")),
    ("deploy to a quarter of the fleet", "deploy", "model=digits_cnn_s&tagged=line%3DA&energy_mj=20"),
    ("deployments", "deployments", ""),
    ("rollouts", "rollouts", ""),
    ("models", "models", "place=all"),
    ("predictions", "predictions", "board=raspberry_pi_5"),
    ("events", "events", ""),
)
BUDGET_S, BUDGET_BYTES, BUDGET_MB = 1.0, 1_000_000, 30.0
"""Of a page over the socket; how much memory a watched dashboard may gain once it is warm."""


def main() -> int:
    """Print one row per figure; return 1 when a page showed an exception."""
    asked = _arguments()
    if asked.data:
        return asyncio.run(measure(asked.data, asked))
    with tempfile.TemporaryDirectory(prefix="edgewatt-dashboard-") as folder:
        return asyncio.run(measure(Path(folder), asked))


async def measure(folder: Path, asked: argparse.Namespace) -> int:
    """Fill a database, start a controller and a dashboard over it, and look at every page."""
    database = folder / "controller" / "controller.db"
    if not database.exists():
        began = time.monotonic()
        deep = asked.devices if asked.all else min(asked.deep, asked.devices)
        samples = await asyncio.to_thread(partial(fill, database, devices=asked.devices, deep=deep, days=asked.days))
        told = f"{samples:,} samples, {deep} of {asked.devices} devices with {asked.days:g} days"
        row("filled a database", time.monotonic() - began, "s", reference=told)
    row("the database", database.stat().st_size / 1e6, "MB")
    ports = some_free(3)
    place = stack.Stack(
        data=folder, broker=stack.chosen_broker("auto"), mqtt_port=ports[0], port=ports[1], dashboard_port=ports[2]
    )
    place.logs.mkdir(parents=True, exist_ok=True)
    havoc = Havoc(place.logs)
    try:
        await havoc.start(stack.broker_program(place))
        await until(partial(answers_mqtt, place.mqtt_port))
        for program, path in (
            (stack.controller_program(place), "/readyz"),
            (stack.dashboard_program(place), "/_stcore/health"),
        ):
            await havoc.start(program)
            port = place.port if path == "/readyz" else place.dashboard_port
            await until(partial(answers_http, port, path))
        return await asyncio.to_thread(look, place, asked.watch_s)
    finally:
        await havoc.end(tuple(havoc.children), 20.0)


def look(place: stack.Stack, watch_s: float) -> int:
    """Time every page, the requests behind the slow ones, and the memory of the dashboard."""
    failed = 0
    visit(place, "", "")
    for name, page, query in PAGES:
        before = busy_s(place)
        run = visit(place, page, query)
        spent = busy_s(place) - before
        again = visit(place, page, query)
        told = f"{spent:.2f} s of processor, by dashboard and controller; at once again {again.took_s:.2f} s"
        row(f"page {name}", run.took_s, "s", BUDGET_S, told)
        row(f"page {name}, over the socket", run.size / 1e3, "kB", BUDGET_BYTES / 1e3, f"{run.messages} messages")
        failed += bool(run.failed or again.failed)
        if run.failed:
            print(f"{name}: {run.failed}", file=sys.stderr)
    for path in requests():
        began = time.monotonic()
        answer = httpx.get(f"{place.controller_url}{path}", timeout=30.0, trust_env=False)
        row(f"GET {path}", time.monotonic() - began, "s", BUDGET_S, f"{len(answer.content) / 1e3:.0f} kB")
    watch(place, watch_s)
    return int(bool(failed))


def visit(place: stack.Stack, page: str, query: str) -> Run:
    """Open a page as somebody does who comes by its address."""
    with Session(place.dashboard_url) as session:
        return session.open(page, query)


def requests() -> list[str]:
    """Return what the pages ask the controller, to tell its share of the time."""
    history = [f"/api/devices/{DEVICE}/telemetry?minutes={m}&points=240" for m in (15, 1_440, 10_080, 43_200)]
    return [
        "/api/status",
        "/api/devices?limit=500",
        "/api/devices?limit=50&sort=-energy_mj",
        *history,
        "/api/deployments?limit=200",
        "/api/export/devices",
    ]


def watch(place: stack.Stack, watch_s: float) -> None:
    """Keep the fleet's and a device's page open, their parts drawing themselves, and see what memory it takes."""
    (process,) = serving(f"--server.port={place.dashboard_port}")
    with Session(place.dashboard_url) as fleet, Session(place.dashboard_url) as device:
        viewers = (fleet, device)
        fleet.open("")
        device.open("device", f"id={DEVICE}&range=24h")
        due: dict[tuple[int, str], float] = {}
        began, warm, redrawn = time.monotonic(), 0.0, 0
        while (now := time.monotonic()) < began + watch_s:
            if not warm and now > began + watch_s / 4:
                warm = process.memory_info().rss / 1e6
            for index, viewer in enumerate(viewers):
                for name, interval in tuple(viewer.timers.items()):
                    if now >= due.get((index, name), 0.0):
                        viewer.redraw(name)
                        redrawn += 1
                        due[index, name] = now + interval
            time.sleep(0.1)
    end = process.memory_info().rss / 1e6
    told = f"{redrawn} redraws in {watch_s:g} s, {end:.0f} MB at the end"
    row("memory gained while watched, after a quarter of the time", end - (warm or end), "MB", BUDGET_MB, told)


def row(name: str, value: float, unit: str, budget: float | None = None, reference: str | None = None) -> None:
    """Print a figure as a line of JSON."""
    met = {} if budget is None else {"budget": budget, "met": value <= budget}
    print(json.dumps({"name": name, "value": value, "unit": unit, "reference": reference, **met}), flush=True)


async def until(there: partial[bool]) -> None:
    """Wait for a process to answer."""
    if not await asyncio.to_thread(wait_until, there, within_s=60):
        raise SystemExit("a process did not start")


def busy_s(place: stack.Stack) -> float:
    """Return the processor's time that dashboard and controller have taken: it tells little of who else is at work."""
    found = [*serving(f"--server.port={place.dashboard_port}"), *serving(str(place.data / "controller"))]
    return sum(each.cpu_times().user + each.cpu_times().system for each in found)


def serving(word: str) -> list[psutil.Process]:
    """Return the processes that were started with `word` among their arguments."""
    return [each for each in psutil.process_iter(["cmdline"]) if word in (each.info["cmdline"] or ())]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=1_000)
    parser.add_argument("--deep", type=int, default=10)
    parser.add_argument("--days", type=float, default=30.0)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--watch-s", type=float, default=30.0)
    parser.add_argument("--data", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
