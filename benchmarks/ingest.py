"""Queued telemetry from Mosquitto to committed rows, against a bare paho client that only counts; in one run.

Rates are what a reader sees; the ratio of processor time is what stays true on a machine that has other work. Of the
20,000 messages a second's worth is start-up: `--messages 100000` measures the steady state, `--rounds` how sure it is.
"""

import argparse
import asyncio
import json
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from broker.messages import Energy, Latency, Telemetry
from broker.mqttium import MqttiumLink
from broker.paho import PahoLink
from broker.topics import TELEMETRY
from controller.cli.ports import some_free
from controller.program import compose
from controller.settings import Settings
from controller.storage.store import Store

MESSAGES = 20_000
DEVICES = 200
ROUNDS = 3
BUDGET = 0.85
CONF = "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 1000\nuser root\n"


def main() -> None:
    """Print both rates and their ratio, median of the rounds."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--messages", type=int, default=MESSAGES)
    asked.add_argument("--rounds", type=int, default=ROUNDS)
    wanted = asked.parse_args()
    messages = wanted.messages
    broker_path = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if broker_path is None:
        print("mosquitto is not installed: apt-get install mosquitto", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as folder:
        conf = Path(folder) / "mosquitto.conf"
        [port] = some_free(1)
        conf.write_text(CONF.format(port=port))
        with subprocess.Popen([broker_path, "-c", str(conf)], stderr=subprocess.DEVNULL) as mosquitto:
            time.sleep(0.5)
            rounds = [
                (
                    bare(port, messages),
                    ingest(MqttiumLink, port, Path(folder), messages),
                    ingest(PahoLink, port, Path(folder), messages),
                )
                for _ in range(wanted.rounds)
            ]
            mosquitto.terminate()
    for index, name in ((1, "mqttium"), (2, "paho")):
        report(name, [(each[0], each[index]) for each in rounds])


@dataclass(frozen=True, slots=True)
class Reached:
    """What one run reached: messages/s, and processor time for each, µs."""

    rate: float
    cpu_us: float


def report(carrier: str, pairs: list[tuple[Reached, Reached]]) -> None:
    """Print what the controller reached with `carrier` beside the bare client."""
    ratio = statistics.median(ours.rate / bare.rate for bare, ours in pairs)
    figure = {"name": f"ingest QoS 1 by {carrier}, committed rows", "unit": "messages/s"}
    figure |= {"value": round(statistics.median(ours.rate for _, ours in pairs)), "ratio": round(ratio, 2)}
    figure |= {"reference": f"bare paho {statistics.median(bare.rate for bare, _ in pairs):.0f}/s"}
    figure |= {"cpu_us": round(statistics.median(ours.cpu_us for _, ours in pairs), 1)}
    figure |= {"cpu_ratio": round(statistics.median(bare.cpu_us / ours.cpu_us for bare, ours in pairs), 2)}
    print(json.dumps(figure | {"budget": BUDGET, "met": ratio >= BUDGET}))


def reached(began: tuple[float, float], messages: int) -> Reached:
    """Return what was reached with so many messages since `began`: (wall clock, processor time) of then."""
    wall_s, cpu_s = time.perf_counter() - began[0], time.process_time() - began[1]
    return Reached(rate=messages / wall_s, cpu_us=cpu_s / messages * 1e6)


def now() -> tuple[float, float]:
    """Return wall clock and processor time, s."""
    return time.perf_counter(), time.process_time()


def bare(port: int, messages: int) -> Reached:
    """Return how quickly paho hands messages to a callback that counts."""
    queue_up(port, "bare", messages)
    counted, done = 0, threading.Event()

    def count(*_: object) -> None:
        nonlocal counted
        counted += 1
        if counted == messages:
            done.set()

    client = session("bare")
    client.on_message = count
    began = now()
    client.connect("127.0.0.1", port)
    client.loop_start()
    done.wait(600)
    result = reached(began, messages)
    client.disconnect()
    client.loop_stop()
    return result


def ingest(kind: type[MqttiumLink] | type[PahoLink], port: int, folder: Path, messages: int) -> Reached:
    """Return how quickly the controller commits messages that come over a link of this kind."""
    client_id = f"ingest-{secrets.token_hex(4)}"
    queue_up(port, client_id, messages)
    return asyncio.run(_ingest(folder / client_id, kind(f"mqtt://127.0.0.1:{port}", client_id), messages))


async def _ingest(folder: Path, link: MqttiumLink | PahoLink, messages: int) -> Reached:
    store = Store(folder / "controller.db")
    parts = compose(Settings(data=folder), store, link, "e1")
    began = now()
    async with link:
        running = asyncio.create_task(parts.ingest.run())
        while committed(store) < messages:  # noqa: ASYNC110 - the database is what is measured, it sends no event
            await asyncio.sleep(0.02)
        result = reached(began, messages)
        running.cancel()
    store.close()
    return result


def committed(store: Store) -> int:
    """Return how many samples are stored, without counting them: that would cost more than what is measured."""
    return int(store.query("SELECT coalesce(max(rowid), 0) AS n FROM telemetry")[0]["n"])


def session(client_id: str) -> mqtt.Client:
    """Return a client whose session the broker keeps."""
    return mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False)


def queue_up(port: int, client_id: str, messages: int) -> None:
    """Fill the session of `client_id` with every message, so that no generator is measured beside its reader."""
    ready = threading.Event()
    client = session(client_id)
    client.on_subscribe = lambda *_: ready.set()
    client.connect("127.0.0.1", port)
    client.subscribe(TELEMETRY.filter, 1)
    client.loop_start()
    ready.wait(10)
    client.disconnect()
    client.loop_stop()
    publish(port, messages)


def publish(port: int, messages: int) -> None:
    """Publish every message at QoS 1, as fast as the broker takes them."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="generator")
    client.max_inflight_messages_set(1_000)
    client.connect("127.0.0.1", port)
    client.loop_start()
    now, last = time.time(), None
    for n in range(messages):
        sample = Telemetry(
            ts=now + n * 1e-3,
            session="s1",
            seq=n // DEVICES,
            cpu_usage_percent=12.5,
            ram_usage_mb=512.0,
            temperature_c=51.0,
            latency_ms=Latency(p50=3.1, p95=4.2, max=9.0),
            energy=Energy(source="simulated", energy_mj=42.0, power_mw=3_100.0),
        )
        last = client.publish(TELEMETRY.topic(f"dev-{n % DEVICES}"), TELEMETRY.encode(sample), 1)
    if last is not None:
        last.wait_for_publish(600)
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    main()
