"""What an agent takes besides inferences: from its start until it is registered, while it idles, and by its imports.

`--idle-s 600` idles for ten minutes instead of twenty seconds.
"""

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import paho.mqtt.client as mqtt
import psutil

from benchmarks._mosquitto import mosquitto
from benchmarks._saying import say

IDLE_MB, IDLE_CORE = 45.0, 0.01
"""Most memory of an agent without a model, and most of a core at a sample each 5 s."""

SETTLING_S = 3.0
REGISTERED_S = 60.0
ROUNDS = 5
IMPORTS = ("broker.wire", "broker.paho", "edge_agent.runtimes.installed", "edge_agent.program")
BARE_CLIENT = """
import sys, paho.mqtt.client as mqtt
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
client.on_connect = lambda *_: client.publish("device/bare/status", b"here", 1, True)
client.on_publish = lambda *_: client.disconnect()
client.connect("127.0.0.1", int(sys.argv[1]))
client.loop_forever()
"""


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--idle-s", type=float, default=20.0)
    idle_s = parser.parse_args().idle_s
    with tempfile.TemporaryDirectory() as name, mosquitto(Path(name)) as port:
        registered(Path(name), port)
        idle(Path(name), port, idle_s)
    for module in IMPORTS:
        imported(module)


def agent(name: str, folder: Path, port: int) -> list[str]:
    """Return the command of an agent with its data in `folder`."""
    broker = f"mqtt://127.0.0.1:{port}"
    return [sys.executable, "-m", "edge_agent", "run", "--id", name, "--broker", broker, "--data", str(folder)]


def registered(folder: Path, port: int) -> None:
    """Say how long it is from a process's start until the broker has what the controller needs to know a device.

    The first start of an agent runs each runtime once to see whether it works; later ones remember it.
    """
    with listening(port) as until:
        first_s = until(agent("new", folder / "new", port), "device/new/", {"info", "status"})
        bare, later = [], []
        for _ in range(ROUNDS):
            bare.append(until([sys.executable, "-c", BARE_CLIENT, str(port)], "device/bare/", {"status"}))
            later.append(until(agent("new", folder / "new", port), "device/new/", {"info", "status"}))
    peer_s, later_s = statistics.median(bare), statistics.median(later)
    peer = f"paho client {peer_s:.2f} s"
    say("agent, first start to registered", first_s, "s", reference=peer, ratio=first_s / peer_s)
    say("agent, start to registered", later_s, "s", reference=peer, ratio=later_s / peer_s)


@contextlib.contextmanager
def listening(port: int) -> Iterator[Callable[[list[str], str, set[str]], float]]:
    """Yield what starts a command and returns the seconds until it said the wanted suffixes; the command is ended."""
    heard: set[str] = set()
    wanted: set[str] = set()
    complete, subscribed = Event(), Event()

    def hear(_client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        heard.add(message.topic)
        if not message.retain and wanted <= heard:
            complete.set()

    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.on_message = hear
    client.on_connect = lambda *_: client.subscribe("device/+/+", 1)
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    subscribed.wait()

    def until(command: list[str], prefix: str, suffixes: set[str]) -> float:
        heard.clear()
        complete.clear()
        wanted.clear()
        wanted.update(prefix + suffix for suffix in suffixes)
        began = time.perf_counter()
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            if not complete.wait(REGISTERED_S):
                raise SystemExit(f"nobody said {wanted}")
            took_s = time.perf_counter() - began
            process.terminate()
        return took_s

    yield until
    client.disconnect()
    client.loop_stop()


def idle(folder: Path, port: int, idle_s: float) -> None:
    """Look at two agents without a model that sample each 5 s: one at a broker, one whose broker is away."""
    homes = {"connected": (folder / "idle", port), "its broker away": (folder / "alone", 9)}
    processes = [subprocess.Popen(agent("idle", *home), stderr=subprocess.DEVNULL) for home in homes.values()]
    seen = [psutil.Process(process.pid) for process in processes]
    for home, _ in homes.values():
        while not (home / "runtimes.json").exists():
            time.sleep(0.1)
    time.sleep(SETTLING_S)
    before = [(each.cpu_times(), written_bytes(each)) for each in seen]
    time.sleep(idle_s)
    for where, each, (cpu, written) in zip(homes, seen, before, strict=True):
        now, rss_mb = each.cpu_times(), each.memory_info().rss / 1e6
        core = (now.user + now.system - cpu.user - cpu.system) / idle_s
        grown = (written_bytes(each) - written) / idle_s * 86_400 / 1e6
        say(f"idle agent, {where}, memory", rss_mb, "MB", budget=IDLE_MB, met=rss_mb <= IDLE_MB)
        say(f"idle agent, {where}, processor", core, "of a core", budget=IDLE_CORE, met=core <= IDLE_CORE)
        say(f"idle agent, {where}, written to disk", grown, "MB/day")
    for process in processes:
        process.terminate()
        process.wait()


def written_bytes(process: psutil.Process) -> int:
    """Return the pages that the process wrote, as the kernel counts them: without what the file system adds."""
    lines = Path(f"/proc/{process.pid}/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes:"))


def imported(module: str) -> None:
    """Say how long importing `module` takes in a process of its own, beside an empty one, and what it holds then."""
    code = f"import {module}, psutil; print(psutil.Process().memory_info().rss)"
    times, rss_mb = [], 0.0
    for _ in range(ROUNDS):
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        full = time.perf_counter() - began
        rss_mb = int(done.stdout) / 1e6
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import psutil"], check=True)
        times.append(full - (time.perf_counter() - began))
    say(f"import {module}", statistics.median(times) * 1_000, "ms", reference=f"{rss_mb:.0f} MB then")


if __name__ == "__main__":
    main()
