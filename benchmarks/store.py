"""What the store does a second in a file, and in PostgreSQL: `python benchmarks/store.py --database postgresql://…/empty`."""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from broker.messages import Energy, Latency, Telemetry
from controller.storage.database import Place, Server
from controller.storage.store import Store
from controller.telemetry import history

T0 = 1_800_000_000.0
DEVICES, BATCH, BATCHES, SMALL = 100, 1_000, 10, 500


def sample(number: int) -> tuple[str, Telemetry, float]:
    """Return a sample as a board sends it."""
    told = Telemetry(
        ts=T0 + number,
        session="s",
        seq=number,
        cpu_usage_percent=12.5,
        ram_usage_mb=512.0,
        temperature_c=51.0,
        latency_ms=Latency(p50=1.0, p95=2.0, max=3.0),
        energy=Energy(source="simulated", energy_mj=12.0, power_mw=2_400.0),
        inferences=20,
        model="digits_cnn_s",
    )
    return f"pi5-{number % DEVICES}", told, T0


def rate(count: int, work: Callable[[], None]) -> float:
    """Return how many of `count` things `work` does a second."""
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def measure(place: Place) -> dict[str, float]:
    """Return what a store at `place` does a second."""
    store = Store(place)
    for number in range(DEVICES):
        store.add_device(f"pi5-{number}", T0, approved=True)

    def samples() -> None:
        for batch in range(BATCHES):
            with store.transaction():
                history.add_samples(store, map(sample, range(batch * BATCH, (batch + 1) * BATCH)))

    def states() -> None:
        with store.transaction():
            for number in range(BATCH):
                with store.savepoint():
                    store.put_device(f"pi5-{number % DEVICES}", state={"rev": number})

    def commits() -> None:
        for number in range(SMALL):
            with store.transaction():
                store.add_event(T0 + number, "device", "said something else", device_id="pi5-1")

    def reads() -> None:
        for number in range(BATCH):
            store.device(f"pi5-{number % DEVICES}")

    found = {
        "samples in batches of 1,000": rate(BATCH * BATCHES, samples),
        "reported states in a batch": rate(BATCH, states),
        "commits of one event": rate(SMALL, commits),
        "reads of one device": rate(BATCH, reads),
    }
    store.close()
    return found


def main() -> None:
    """Print both, and how they compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", help="an empty database of PostgreSQL; without it only a file is measured")
    database = parser.parse_args().database
    with tempfile.TemporaryDirectory() as folder:
        file = measure(Path(folder) / "store.db")
    server = measure(Server(database)) if database else {}
    for what, per_s in file.items():
        there = f"{server[what]:10,.0f}  {server[what] / per_s:5.0%}" if server else ""
        print(f"{what:30}{per_s:10,.0f} {there}")


if __name__ == "__main__":
    main()
