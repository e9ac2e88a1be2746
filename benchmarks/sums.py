"""What five minutes of a device's telemetry cost the controller's loop to sum up, beside it and in its ticks, in turns.

`--devices 20000` is a file that the machine's memory does not hold as easily (some minutes to fill).
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks._samples import T0, telemetry, with_devices
from controller.storage.sqlite import SQLiteConnection
from controller.storage.store import Store
from controller.telemetry import history
from controller.telemetry.rollups import EVERY_S, LAG_S, SETTLED_AT_ONCE, Rollups, closed_at
from controller.telemetry.summing import AT_ONCE, Summing, make

DEVICES, ROUNDS, INTERVAL_S = 2_000, 4, 5.0
BUDGET_US, HOLD_BUDGET_MS = 60.0, 50.0


def filled(path: Path, devices: int) -> Store:
    """Return a store with the rounds' telemetry, as devices send it: their samples lie side by side in time."""
    store = with_devices(path, devices)
    with store.transaction():
        store.hold()
    for number in range(int((ROUNDS * EVERY_S + LAG_S) / INTERVAL_S)):
        at = T0 + number * INTERVAL_S
        with store.transaction():
            history.add_samples(store, [(f"pi5-{device}", telemetry(number, at), at) for device in range(devices)])
    with store.transaction():
        store.samples.settle(store.samples.begin_walk())
        store.connection.execute("UPDATE rolled SET until = ?", [T0])
    return store


def in_ticks(rollups: Rollups, names: list[str], at: float) -> float:
    """Return what a device costs that is summed up as in a tick, µs of this thread."""
    began = time.thread_time()
    for first in range(0, len(names), SETTLED_AT_ONCE):
        with rollups.store.transaction():
            for name in names[first : first + SETTLED_AT_ONCE]:
                rollups.step(name, at - LAG_S - EVERY_S, closed_at(at), oldest=T0)
    return (time.thread_time() - began) / len(names) * 1e6


def beside(summing: Summing, at: float, holds_ms: list[float]) -> float:
    """Return what a device costs the loop beside which a thread sums up all that is due, µs; note each hold."""
    spent_s, devices = 0.0, 0
    while True:
        with held(holds_ms) as begun:
            parts, _ = summing.begin(at)
        spent_s += begun[0]
        if not parts:
            return spent_s / devices * 1e6
        with summing.connection.beside() as made:
            make(made, parts)  # what the thread does
            with held(holds_ms) as ended:
                summing.end(parts, made, at)
        spent_s, devices = spent_s + ended[0], devices + len(parts)


@contextmanager
def held(holds_ms: list[float]) -> Iterator[list[float]]:
    """Give a list for what the body takes of this thread, s; note how long it takes by the clock."""
    spent_s: list[float] = []
    cpu_s, wall_s = time.thread_time(), time.perf_counter()
    yield spent_s
    spent_s.append(time.thread_time() - cpu_s)
    holds_ms.append((time.perf_counter() - wall_s) * 1e3)


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=DEVICES)
    devices = parser.parse_args().devices
    ticks_us, loop_us, holds_ms = list[float](), list[float](), list[float]()
    with tempfile.TemporaryDirectory(prefix="edgewatt-bench-") as name:
        store = filled(Path(name) / "sums.db", devices)
        assert isinstance(store.connection, SQLiteConnection)
        rollups = Rollups(store=store, raw_days=1.0)
        summing = Summing(rollups, store.connection)
        for number in range(1, ROUNDS + 1):
            at = T0 + number * EVERY_S + LAG_S
            ticks_us.append(in_ticks(rollups, [f"pi5-{device}" for device in range(0, devices, 2)], at))
            loop_us.append(beside(summing, at, holds_ms))
        store.close()
    tick_us, device_us = statistics.median(ticks_us), statistics.median(loop_us)
    tell("five minutes of a device summed up, of the loop", device_us, "µs", BUDGET_US, f"in a tick {tick_us:.0f} µs")
    tell("the same for 100,000 devices", device_us * 1e5 / EVERY_S / 1e4, "%", None, "of the loop's processor")
    tell("longest hold of the loop", max(holds_ms), "ms", HOLD_BUDGET_MS, f"{AT_ONCE} devices")


def tell(name: str, value: float, unit: str, budget: float | None, reference: str) -> None:
    """Print a row."""
    held_to = {} if budget is None else {"budget": budget, "met": value <= budget}
    print(
        json.dumps({"name": name, "value": round(value, 2), "unit": unit, "reference": reference} | held_to), flush=True
    )


if __name__ == "__main__":
    main()
