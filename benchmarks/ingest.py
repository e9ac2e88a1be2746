"""Queued telemetry from Mosquitto to committed rows, against a bare paho client that only counts; in one run."""

import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from broker.messages import Energy, Latency, Telemetry
from broker.paho import PahoLink
from broker.topics import TELEMETRY
from controller.__main__ import compose
from controller.settings import Settings
from controller.store import Store

MESSAGES = 20_000
DEVICES = 200
ROUNDS = 3
BUDGET = 0.85
PORT = 18_833
CONF = "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 1000\nuser root\n"


def main() -> None:
    """Print both rates and their ratio, median of the rounds."""
    broker_path = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if broker_path is None:
        print("mosquitto is not installed: apt-get install mosquitto", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as folder:
        conf = Path(folder) / "mosquitto.conf"
        conf.write_text(CONF.format(port=PORT))
        with subprocess.Popen([broker_path, "-c", str(conf)], stderr=subprocess.DEVNULL) as mosquitto:
            time.sleep(0.5)
            pairs = [(bare(), ingest(Path(folder) / str(n))) for n in range(ROUNDS)]
            mosquitto.terminate()
    bare_rate = statistics.median(pair[0] for pair in pairs)
    ours = statistics.median(pair[1] for pair in pairs)
    ratio = statistics.median(pair[1] / pair[0] for pair in pairs)
    figure = {"name": "ingest QoS 1, committed rows", "value": round(ours), "unit": "messages/s"}
    figure |= {"reference": f"bare paho {bare_rate:.0f}/s", "ratio": round(ratio, 2)}
    print(json.dumps(figure | {"budget": BUDGET, "met": ratio >= BUDGET}))


def bare() -> float:
    """Return how many messages a second paho hands to a callback that counts."""
    queue_up("bare")
    counted, done = 0, threading.Event()

    def count(*_: object) -> None:
        nonlocal counted
        counted += 1
        if counted == MESSAGES:
            done.set()

    client = session("bare")
    client.on_message = count
    began = time.perf_counter()
    client.connect("127.0.0.1", PORT)
    client.loop_start()
    done.wait(120)
    seconds = time.perf_counter() - began
    client.disconnect()
    client.loop_stop()
    return MESSAGES / seconds


def ingest(folder: Path) -> float:
    """Return how many messages a second the controller commits."""
    client_id = f"ingest-{folder.name}"
    queue_up(client_id)
    return asyncio.run(_ingest(folder, client_id))


async def _ingest(folder: Path, client_id: str) -> float:
    store = Store(folder / "controller.db")
    link = PahoLink(f"mqtt://127.0.0.1:{PORT}", client_id)
    parts = compose(Settings(data=folder), store, link, "e1")
    began = time.perf_counter()
    async with link:
        running = asyncio.create_task(parts.ingest.run())
        while count(store) < MESSAGES:  # noqa: ASYNC110 - the database is what is measured, it sends no event
            await asyncio.sleep(0.02)
        seconds = time.perf_counter() - began
        running.cancel()
    store.close()
    return MESSAGES / seconds


def count(store: Store) -> int:
    """Return how many samples are stored."""
    return int(store.query("SELECT count(*) AS n FROM telemetry")[0]["n"])


def session(client_id: str) -> mqtt.Client:
    """Return a client whose session the broker keeps."""
    return mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False)


def queue_up(client_id: str) -> None:
    """Fill the session of `client_id` with every message, so that no generator is measured beside its reader."""
    ready = threading.Event()
    client = session(client_id)
    client.on_subscribe = lambda *_: ready.set()
    client.connect("127.0.0.1", PORT)
    client.subscribe(TELEMETRY.filter, 1)
    client.loop_start()
    ready.wait(10)
    client.disconnect()
    client.loop_stop()
    publish()


def publish() -> None:
    """Publish every message at QoS 1, as fast as the broker takes them."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="generator")
    client.max_inflight_messages_set(1_000)
    client.connect("127.0.0.1", PORT)
    client.loop_start()
    now, last = time.time(), None
    for n in range(MESSAGES):
        sample = Telemetry(
            ts=now + n * 1e-3,
            session="s1",
            seq=n,
            cpu_usage_percent=12.5,
            ram_usage_mb=512.0,
            temperature_c=51.0,
            latency_ms=Latency(p50=3.1, p95=4.2, max=9.0),
            energy=Energy(source="simulated", energy_mj=42.0, power_mw=3_100.0),
        )
        last = client.publish(TELEMETRY.topic(f"dev-{n % DEVICES}"), TELEMETRY.encode(sample), 1)
    if last is not None:
        last.wait_for_publish(120)
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    main()
