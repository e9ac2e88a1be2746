"""One controller and the state of a large fleet: its start, its memory, what REST answers, and a rollout.

`--devices 100000 --driven 10000` is the fleet that the budgets are for; it takes a quarter of an hour, because a
rollout lets 25 devices begin in a second. Budgets are for a machine that does nothing else; processor time is printed
beside each.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks._large_fleet import Answering, fill, name_of, retain
from controller.api.fleet_counts import SHARED_S
from controller.cli import stack
from controller.cli.ports import some_free
from controller.cli.readiness import answers_http, answers_mqtt, wait_until
from controller.torture.havoc import Havoc

PATIENCE_S = 600.0
NEW_MODEL = "digits_mlp"
ANSWER_MS, PLAN_S, BYTES_PER_DEVICE, IDLE_SHARE = 300.0, 2.0, 2_000, 0.25
LOOK_S = 5.0
"""Each look at how far it is counts all devices by health, so looks are rare."""

AGAIN = 5
"""How often each request is made; the median counts."""


def main() -> None:
    """Print one row per figure."""
    asked = _arguments()
    if stack.chosen_broker("auto") != "mosquitto":
        print("skipped: mosquitto is not installed (apt-get install mosquitto)")
        return
    with tempfile.TemporaryDirectory(prefix="edgewatt-scale-") as folder:
        asyncio.run(measure(Path(folder), asked))


async def measure(folder: Path, asked: argparse.Namespace) -> None:
    """Fill store and broker, start a controller on them, and ask it."""
    mqtt_port, port = some_free(2)
    place = stack.Stack(data=folder, broker="mosquitto", mqtt_port=mqtt_port, port=port, dashboard_port=0)
    place.logs.mkdir()
    havoc, size = Havoc(place.logs), {"devices": asked.devices, "planned": asked.planned, "driven": asked.driven}
    program = stack.controller_program(place)
    try:
        await havoc.start(stack.broker_program(place))
        await until(partial(answers_mqtt, place.mqtt_port))
        for _ in range(2):  # the first start of a controller makes the models that it ships
            await havoc.start(program)
            await until(partial(answers_http, place.port, "/readyz"))
            bare_mb = Controller(place, havoc.children["controller"].pid, asked.devices).rss_mb
            await havoc.end(["controller"], 20.0)
        database = folder / "controller" / "controller.db"
        for left in database.parent.glob("controller.db*"):
            left.unlink()
        await asyncio.to_thread(partial(fill, database, **size))
        messages = await asyncio.to_thread(partial(retain, place.mqtt_port, **size))
        began = time.monotonic()
        await havoc.start(program)
        await until(partial(answers_http, place.port, "/readyz"))
        controller = Controller(place, havoc.children["controller"].pid, asked.devices)
        row(controller.title("from start to ready"), time.monotonic() - began, "s")
        await heard(controller, messages, began, bare_mb)
        questions(controller)
        await rollout(controller, place, asked)
        memory(controller, "after the rollout", bare_mb)
    finally:
        await havoc.end(tuple(havoc.children), 30.0)


class Controller:
    """A running controller: what it answers, and what it takes."""

    def __init__(self, place: stack.Stack, pid: int, devices: int) -> None:
        """Speak to the one of `pid`."""
        self.devices = devices
        self.client = httpx.Client(base_url=place.controller_url, timeout=PATIENCE_S)
        self._process = psutil.Process(pid)

    @property
    def rss_mb(self) -> float:
        """Its resident memory, MB of 10^6 bytes."""
        return float(self._process.memory_info().rss) / 1e6

    @property
    def busy_s(self) -> float:
        """The processor time that it took, s."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def title(self, name: str) -> str:
        """Return the name of a figure."""
        return f"{self.devices:,} devices: {name}"

    def get(self, path: str) -> Any:
        """Return what is answered. Raises HTTPStatusError."""
        return self.client.get(path).raise_for_status().json()

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Return what is answered. Raises HTTPStatusError."""
        return self.client.post(path, json=body).raise_for_status().json()


async def heard(controller: Controller, messages: int, began: float, bare_mb: float) -> None:
    """Wait until all that is retained was heard, then look at memory and at what a second of rest costs."""
    while controller.get("/api/status")["messages"]["received"] < messages:  # noqa: ASYNC110 - another process is asked
        await asyncio.sleep(LOOK_S)
    took_s, busy_s = time.monotonic() - began, controller.busy_s
    told = f"{took_s:.1f} s since its start, {busy_s:.1f} s of processor time"
    row(controller.title("retained messages heard"), messages / busy_s, "per s of processor time", reference=told)
    memory(controller, "when all were heard", bare_mb)
    await asyncio.sleep(5.0)
    before = controller.busy_s
    await asyncio.sleep(10.0)
    row(controller.title("at rest"), (controller.busy_s - before) / 10, "of a processor", IDLE_SHARE)


def memory(controller: Controller, when: str, bare_mb: float) -> None:
    """Print what each device takes of memory."""
    each = 1e6 * (controller.rss_mb - bare_mb) / controller.devices
    told = f"{controller.rss_mb:.0f} MB, {bare_mb:.0f} MB without devices"
    row(controller.title(f"resident memory {when}"), each, "bytes each", BYTES_PER_DEVICE, told)


def questions(controller: Controller) -> None:
    """Time what lists, pages and people ask."""
    last = max(0, controller.devices - 100)
    asked = {
        "first page": "/api/devices?limit=100",
        f"page {last // 100 + 1}": f"/api/devices?limit=100&offset={last}",
        "search by text": "/api/devices?limit=100&q=0042",
        "by tag": "/api/devices?limit=100&tag=site%3Dsite-7",
        "by health": "/api/devices?limit=100&health=live",
        "dearest first": "/api/devices?limit=100&sort=-energy_mj",
        "hottest first": "/api/devices?limit=100&sort=-temperature_c",
        "by last reading": "/api/devices?limit=100&sort=reading_age_s",
        "counts by health, shared": "/api/status",
        "one device": f"/api/devices/{name_of(controller.devices // 2)}",
        "alerts": "/api/alerts?limit=100",
        "deployments": "/api/deployments?limit=100",
        "what needs attention": "/api/devices?limit=500",
        "metrics": "/metrics",
    }
    for name, path in asked.items():
        began = controller.busy_s
        took_ms = [_timed_ms(lambda path=path: controller.client.get(path).raise_for_status()) for _ in range(AGAIN)]
        told = f"{1e3 * (controller.busy_s - began) / AGAIN:.0f} ms of processor time"
        row(controller.title(name), statistics.median(took_ms), "ms", ANSWER_MS, told)
    time.sleep(SHARED_S)
    counted_ms = _timed_ms(lambda: controller.get("/api/status"))
    row(controller.title("counts by health, counted anew"), counted_ms, "ms", ANSWER_MS)
    export(controller)


def export(controller: Controller) -> None:
    """Read the list of all devices as a file: when it begins, and what memory it takes."""
    before_mb, began, first_ms, size = controller.rss_mb, time.monotonic(), 0.0, 0
    most_mb = before_mb
    with controller.client.stream("GET", "/api/export/devices") as answer:
        for part in answer.iter_raw():
            first_ms = first_ms or 1e3 * (time.monotonic() - began)
            size, most_mb = size + len(part), max(most_mb, controller.rss_mb)
    told = f"{size / 1e6:.1f} MB in {time.monotonic() - began:.1f} s"
    row(controller.title("export, its first bytes"), first_ms, "ms", ANSWER_MS, told)
    row(controller.title("export, memory gained meanwhile"), most_mb - before_mb, "MB", 20.0)


async def rollout(controller: Controller, place: stack.Stack, asked: argparse.Namespace) -> None:
    """Plan a rollout and make it; then drive one to its end with devices that answer at once."""
    wanted = {"model_name": NEW_MODEL, "tags": ["plan=yes"]}
    before = controller.busy_s
    dry_s = _timed_ms(lambda: controller.post("/api/rollouts", wanted | {"dry_run": True})) / 1e3
    told = f"{controller.busy_s - before:.2f} s of processor time"
    row(controller.title(f"a rollout over {asked.planned:,} planned"), dry_s, "s", PLAN_S, told)
    began, before = time.monotonic(), controller.busy_s
    made = controller.post("/api/rollouts", wanted | {"not_before": time.time() + 86_400})
    told = f"{controller.busy_s - before:.2f} s of processor time"
    row(controller.title(f"a rollout over {asked.planned:,} made"), time.monotonic() - began, "s", PLAN_S, told)
    controller.post(f"/api/rollouts/{made['rollout_id']}/abort", {"reason": "it was only to be timed"})
    fleet = Answering(place.mqtt_port)
    try:
        await drive(controller, asked.driven)
    finally:
        fleet.close()


async def drive(controller: Controller, driven: int) -> None:
    """Let a rollout run to its end, and print what a second of its first and of its last quarter took."""
    wanted = {"model_name": NEW_MODEL, "tags": ["drive=yes"], "waves": ["100%"], "at_once": driven}
    path = f"/api/rollouts/{controller.post('/api/rollouts', wanted)['rollout_id']}"
    took_s, before_mb = [], controller.rss_mb
    while True:
        began, before = time.monotonic(), controller.busy_s
        await asyncio.sleep(1.0)
        phase = controller.get(path)["rollout"]["phase"]
        if phase not in {"running", "planned"}:
            break
        took_s.append((controller.busy_s - before) / (time.monotonic() - began))
    if phase != "succeeded":
        raise SystemExit(f"the rollout is {phase}")
    quarter = max(1, len(took_s) // 4)
    first, last = statistics.fmean(took_s[:quarter]), statistics.fmean(took_s[-quarter:])
    told = f"{first:.3f} in the first quarter of {len(took_s)} s"
    name = controller.title(f"a rollout over {driven:,}, its last quarter")
    row(name, last, "of a processor", reference=told, ratio=round(last / first, 2))
    row(controller.title("memory gained by that rollout"), controller.rss_mb - before_mb, "MB", 20.0)


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something."""
    if not await asyncio.to_thread(wait_until, holds, within_s=PATIENCE_S):
        raise SystemExit(f"it did not happen within {PATIENCE_S:.0f} s")


def row(name: str, value: float, unit: str, budget: float | None = None, reference: str = "-", **more: Any) -> None:
    """Print a figure."""
    figure: dict[str, Any] = {"name": name, "value": float(f"{value:.4g}"), "unit": unit, **more}
    if budget is not None:
        figure |= {"budget": budget, "met": value <= budget}
    print(json.dumps(figure | {"reference": reference}), flush=True)


def _timed_ms(what: Callable[[], object]) -> float:
    began = time.monotonic()
    what()
    return 1e3 * (time.monotonic() - began)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=20_000, help="devices that are registered")
    parser.add_argument("--planned", type=int, default=10_000, help="devices of the rollout that is planned and made")
    parser.add_argument("--driven", type=int, default=300, help="devices of the rollout that is driven to its end")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
