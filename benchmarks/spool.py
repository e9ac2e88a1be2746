"""A device that was away for a day: what it kept and wrote, and how its history comes back while everything dies.

The day passes on a clock of ours; what follows is real: an agent, Mosquitto as we configure it, a controller, and a
kill -9 of each, of the controller three times. The agent samples each 0.1 s here so that it is done in a minute;
`--interval-s 5` shows it as it is by default, in less than half an hour. `--hours` is how long it was away, `--broker`
what it comes back over.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil

from benchmarks._saying import say
from benchmarks._stored_history import Stored
from broker.messages import Answer, Energy, Latency, Telemetry
from controller.cli import stack
from controller.cli.ports import some_free
from controller.cli.processes import Program, python
from controller.cli.readiness import answers_http, answers_mqtt, wait_until
from controller.torture.havoc import Havoc
from edge_agent.files import WRITTEN
from edge_agent.history import PAUSE_S
from edge_agent.spool import Spool

INTERVAL_S = 5.0
SESSION = "b1-away00"
DEVICE = "back"
LIVE_P95_MS = 250.0
"""A live sample may be stored that much later while history is on its way."""
AGENT_MB = 45.0
OFF_S = 900.0
"""It was without power at last, so that its minutes and hours are complete, and summed up, when its history is back."""
PATIENCE_S = 1_800.0
DEATHS = (
    (0.1, "controller", 0.0),
    (0.25, "agent", 0.0),
    (0.4, "controller", 2.0),
    (0.55, "broker", 0.0),
    (0.7, "controller", 0.0),
)
"""Who dies when that share of the history is stored, and comes back after so many seconds."""


class Clock:
    """Seconds that pass when we say so."""

    now = 0.0

    def __call__(self) -> float:
        """Return them."""
        return self.now


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interval-s", type=float, default=0.1)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--broker", choices=("mosquitto", "nats", "amqtt"), default="mosquitto")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        kept = away(Path(name) / "agent" / "spool", asked.hours)
        asyncio.run(back(Path(name), kept, asked.interval_s, asked.broker))


def away(folder: Path, hours: float) -> set[int]:
    """Let the hours pass without a broker; return the numbers of the samples that are kept."""
    clock, began = Clock(), time.time() - OFF_S - hours * 3_600
    spool, count = Spool(folder, steady=clock), round(hours * 3_600 / INTERVAL_S)
    cpu = time.process_time()
    for seq in range(count):
        clock.now += INTERVAL_S
        spool.add(sample(seq, began + clock.now))
    spool.flush()
    cpu_us = (time.process_time() - cpu) / count * 1e6
    lines = [line for path in folder.iterdir() for line in path.read_bytes().splitlines()]
    size = sum(path.stat().st_size for path in folder.iterdir())
    say(f"spool, {hours:g} h away at 5 s, on disk", size / 1e6, "MB", reference=f"{len(lines)} of {count} samples kept")
    wrote = f"{WRITTEN.syncs} fsyncs, {WRITTEN.bytes / 1e6:.1f} MB"
    say(
        f"spool, {hours:g} h away at 5 s, written",
        WRITTEN.blocks * 4_096 / 1e6,
        "MB in blocks of 4 kB",
        reference=wrote,
    )
    say("spool, processor time a sample", cpu_us, "us")
    return {json.loads(line)["seq"] for line in lines}


def sample(seq: int, ts: float) -> Telemetry:
    """Return what an agent that serves a model says."""
    return Telemetry(
        ts=round(ts, 3),
        session=SESSION,
        seq=seq,
        cpu_usage_percent=23.4,
        ram_usage_mb=512.3,
        ram_usage_percent=25.1,
        temperature_c=52.4,
        storage_usage_mb=8_123.4,
        uptime_seconds=100_000.0 + seq * INTERVAL_S,
        inference_active=True,
        model="mobilenetv3_small_075",
        gen=12,
        inferences=5,
        answer=Answer(label="espresso", confidence=0.9512),
        rate=1.0,
        latency_ms=Latency(p50=18.2514, p95=22.4127, max=31.0072),
        energy=Energy(source="pmic", energy_mj=204.5123, power_mw=204.5, rate_hz=10.0),
    )


async def back(folder: Path, kept: set[int], interval_s: float, broker: str) -> None:
    """Let the device come back, kill who serves it, and see what is stored, when, and how often."""
    mqtt_port, port = some_free(2)
    place = stack.Stack(data=folder, broker=broker, mqtt_port=mqtt_port, port=port, dashboard_port=0)
    place.logs.mkdir()
    havoc, stored = Havoc(place.logs), Stored(folder / "controller" / "controller.db", DEVICE, SESSION)
    try:
        await havoc.start(stack.broker_program(place))
        await until(partial(answers_mqtt, place.mqtt_port))
        await havoc.start(stack.controller_program(place))
        await until(partial(answers_http, place.port, "/readyz"))
        began, samples = time.monotonic(), len(kept)
        await havoc.start(agent(folder / "agent", place, interval_s))
        for share, name, away_s in DEATHS:
            await until(lambda some=share * samples: stored.count >= some)
            await havoc.children[name].kill()
            await asyncio.sleep(away_s)
            await havoc.start(havoc.children[name].program)
        await until(lambda: not any((folder / "agent" / "spool").iterdir()))
        took_s, process = time.monotonic() - began, psutil.Process(havoc.children["agent"].pid)
        rss_mb = process.memory_info().rss / 1e6
        await havoc.end(["agent"], 20.0)
        say("spool, memory of the agent then", rss_mb, "MB", budget=AGENT_MB, met=rss_mb <= AGENT_MB)
        await until(stored.is_summed_up)
        tell(stored, kept, took_s, interval_s)
        rows, unlike = stored.rollups()
        said = f"of {rows} minutes and hours"
        say("spool, sums unlike their samples", unlike, "rows", reference=said, budget=0, met=rows > 0 and not unlike)
    finally:
        await havoc.end(tuple(havoc.children), 20.0)


def tell(stored: Stored, kept: set[int], took_s: float, interval_s: float) -> None:
    """Say what is stored."""
    times = PAUSE_S / min(interval_s, PAUSE_S)
    rhythm = f"a batch each {PAUSE_S / times:g} s; each {PAUSE_S:g} s it takes {times:.0f} times that"
    say("spool, history of the day is back", took_s, "s", reference=rhythm)
    found = stored.numbers()
    lost, twice = len(kept - set(found)), len(found) - len(set(found))
    names = [name for _, name, _ in DEATHS]
    killed = ", ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names))
    say("spool, lost by kill -9 in the middle", lost, "samples", reference=f"killed: {killed}", budget=0, met=not lost)
    say("spool, stored twice", twice, "samples", budget=0, met=not twice)
    off, missing = stored.gaps - stored.missing, stored.missing
    said = f"{missing} live ones never came"
    say("spool, lost readings counted wrongly", abs(off), "samples", reference=said, budget=0, met=not off)
    late_ms = stored.late_ms()
    p95 = statistics.quantiles(late_ms, n=20)[-1]
    said = f"{len(late_ms)} samples"
    say(
        "spool, live sample is stored after, p95",
        p95,
        "ms",
        reference=said,
        budget=LIVE_P95_MS,
        met=p95 <= LIVE_P95_MS,
    )


def agent(data: Path, place: stack.Stack, interval_s: float) -> Program:
    """Return an agent without a model."""
    told = ("--id", DEVICE, "--broker", place.broker_url, "--data", str(data), "--interval", str(interval_s))
    return python("agent", "-m", "edge_agent", "run", *told)


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something."""
    if not await asyncio.to_thread(wait_until, holds, within_s=PATIENCE_S):
        raise SystemExit(f"it did not happen within {PATIENCE_S:.0f} s")


if __name__ == "__main__":
    main()
