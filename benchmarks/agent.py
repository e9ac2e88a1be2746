"""What the agent costs: inferences beside a bare onnxruntime loop, and what it takes while it does nothing."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Event, Lock

import psutil

from broker.commands import Probe
from broker.messages import ActiveModel
from controller.models import untrained
from edge_agent.bench import measure
from edge_agent.modelstore import Held
from edge_agent.power.meter import NoMeter
from edge_agent.runtimes.onnx import OnnxRuntime
from edge_agent.serving import Server

INFERENCES = 40
ROUNDS = 11
BUDGET = 0.98
"""Least share of a bare loop's inferences per second."""

IDLE_MB, IDLE_CORE = 45.0, 0.01
"""Most memory of an agent without a model, and most of a core at a sample each 5 s."""

IDLE_S = 20.0
IMPORTS = ("broker.wire", "broker.paho", "edge_agent.runtimes.installed", "edge_agent.__main__")
FLAT_OUT = 1e9
"""Inferences per second that no machine reaches: one begins as the other ends."""


def main() -> None:
    """Print every figure."""
    with tempfile.TemporaryDirectory() as folder:
        inference(Path(folder))
        idle(Path(folder))
    for module in IMPORTS:
        imported(module)


def inference(folder: Path) -> None:
    """Run one session in three ways in turns: bare, as a probe measures it, as it is served."""
    path = folder / "mobilenet.onnx"
    path.write_bytes(untrained.build())
    session = OnnxRuntime().load(path)
    inner, feed = session._engine._inner, session._feeds[0]  # noqa: SLF001 - the bare loop runs the very same session
    server = Server(NoMeter(), rate=FLAT_OUT, on_fault=print)
    server.want(running=False)
    model = ActiveModel(model="mobilenet", artifact_sha256="0" * 64, runtime="onnxruntime")
    server.swap(session, Held(model=model))

    def bare() -> float:
        began = time.perf_counter()
        for _ in range(INFERENCES):
            inner.run(None, feed)
        return INFERENCES / (time.perf_counter() - began)

    def probed() -> float:
        began = time.perf_counter()
        probe = Probe(warmup=0, inferences=INFERENCES)
        done = measure(session, NoMeter(), probe, stop=Event(), turn=Lock()).inferences
        return done / (time.perf_counter() - began)

    def served(seconds: float) -> float:
        server.take()
        began = time.perf_counter()
        server.want(running=True)
        time.sleep(seconds)
        server.want(running=False)
        with server.turn:
            lasted = time.perf_counter() - began
        return server.take().inferences / lasted

    seconds = INFERENCES / bare()
    rounds = [(bare(), probed(), served(seconds)) for _ in range(ROUNDS)]
    server.close()
    for name, index in (("agent, probe of mobilenet_v1", 1), ("agent, serving mobilenet_v1", 2)):
        ratio = statistics.median(each[index] / each[0] for each in rounds)
        rate, plain = (statistics.median(each[i] for each in rounds) for i in (index, 0))
        say(
            name, rate, "inferences/s", reference=f"bare {plain:.1f}/s", ratio=ratio, budget=BUDGET, met=ratio >= BUDGET
        )


def idle(folder: Path) -> None:
    """Look at an agent without a model that samples each 5 s; its broker is not there, which costs it most."""
    command = [sys.executable, "-m", "edge_agent", "run", "--id", "idle", "--broker", "mqtt://127.0.0.1:9"]
    with subprocess.Popen([*command, "--data", str(folder / "agent")], stderr=subprocess.DEVNULL) as process:
        seen = psutil.Process(process.pid)
        while not (folder / "agent" / "runtimes.json").exists():
            time.sleep(0.1)
        time.sleep(2.0)
        before = seen.cpu_times()
        time.sleep(IDLE_S)
        after, rss_mb = seen.cpu_times(), seen.memory_info().rss / 1e6
        process.terminate()
    core = (after.user + after.system - before.user - before.system) / IDLE_S
    say("idle agent, memory", rss_mb, "MB", budget=IDLE_MB, met=rss_mb <= IDLE_MB)
    say("idle agent, processor", core, "of a core", budget=IDLE_CORE, met=core <= IDLE_CORE)


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


def say(name: str, value: float, unit: str, **more: object) -> None:
    """Print one row."""
    rounded = {key: round(each, 4) if isinstance(each, float) else each for key, each in more.items()}
    print(json.dumps({"name": name, "value": round(value, 4), "unit": unit, "cpus": os.cpu_count(), **rounded}))


if __name__ == "__main__":
    main()
