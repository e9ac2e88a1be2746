"""A device that was away for a day: what it kept and wrote, and how its history comes back beside what is live.

The day passes on a clock of ours; what follows is real: an agent, Mosquitto, and a kill -9 in the middle. The agent
samples each 0.1 s here so that it is done in half a minute; `--interval-s 5` shows it as it is by default, in less than
half an hour. `--hours` is how long it was away.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from threading import Event

import paho.mqtt.client as mqtt
import psutil

from benchmarks._mosquitto import mosquitto
from benchmarks._saying import say
from broker.messages import Answer, Energy, Latency, Telemetry
from edge_agent.files import WRITTEN
from edge_agent.history import PAUSE_S
from edge_agent.spool import Spool

INTERVAL_S = 5.0
SESSION = "b1-away00"
LIVE_P95_MS = 250.0
"""A live sample may come that much later while history is on its way."""


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
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, mosquitto(Path(name)) as port:
        data = Path(name) / "agent"
        kept = away(data / "spool", asked.hours)
        back(data, port, kept, asked.interval_s)


def away(folder: Path, hours: float) -> set[int]:
    """Let the hours pass without a broker; return the numbers of the samples that are kept."""
    clock, began = Clock(), time.time() - hours * 3_600
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


class Ear:
    """Hears what the device says: its history by number, and how late its live samples are."""

    def __init__(self, port: int, kept: set[int]) -> None:
        """Listen at `port` until all of `kept` came."""
        self.times: Counter[int] = Counter()
        self.late_ms: list[float] = []
        self.some, self.all = Event(), Event()
        self._kept = kept
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self.client.on_message = self._hear
        self.client.on_connect = lambda *_: self.client.subscribe("device/back/telemetry", 1)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def _hear(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        said = json.loads(message.payload)
        if "batch" not in said:
            self.late_ms.append((time.time() - said["ts"]) * 1_000)
            return
        self.times.update(each["seq"] for each in said["batch"] if each["session"] == SESSION)
        if len(self.times) > len(self._kept) / 2:
            self.some.set()
        if len(self.times) == len(self._kept):
            self.all.set()


def back(data: Path, port: int, kept: set[int], interval_s: float) -> None:
    """Start an agent on that folder, kill it half way, and see what comes, when, and how often."""
    ear, began = Ear(port, kept), time.monotonic()
    with agent(data, port, interval_s) as process:
        ear.some.wait()
        process.kill()
    with agent(data, port, interval_s) as process:
        ear.all.wait(600.0)
        took_s, rss_mb = time.monotonic() - began, psutil.Process(process.pid).memory_info().rss / 1e6
        process.terminate()
    ear.client.loop_stop()
    twice = sum(count - 1 for count in ear.times.values())
    p95 = statistics.quantiles(ear.late_ms, n=20)[-1]
    times = PAUSE_S / min(interval_s, PAUSE_S)
    rhythm = f"a batch each {PAUSE_S / times:g} s; each {PAUSE_S:g} s it takes {times:.0f} times that"
    say("spool, history of the day is back", took_s, "s", reference=rhythm)
    lost = len(kept - set(ear.times))
    say(
        "spool, lost by kill -9 in the middle", lost, "samples", reference=f"{twice} came twice", budget=0, met=not lost
    )
    say("spool, live sample's delay meanwhile, p95", p95, "ms", budget=LIVE_P95_MS, met=p95 <= LIVE_P95_MS)
    say("spool, memory of the agent then", rss_mb, "MB", budget=45.0, met=rss_mb <= 45.0)


def agent(data: Path, port: int, interval_s: float) -> subprocess.Popen[bytes]:
    """Start an agent without a model."""
    command = [sys.executable, "-m", "edge_agent", "run", "--id", "back", "--broker", f"mqtt://127.0.0.1:{port}"]
    command += ["--data", str(data), "--interval", str(interval_s)]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
