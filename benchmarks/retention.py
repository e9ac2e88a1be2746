"""How large a day of telemetry is, how fast old telemetry goes, how long commits wait; more with `--old 5000000`."""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks._samples import T0, telemetry, with_devices
from controller.storage.store import Store
from controller.telemetry import history
from controller.telemetry.retention import Retention
from controller.telemetry.rollups import DAY_S, Rollups

CADENCES_S = (5, 60)
SIZED = 4
"""Devices whose day is weighed."""

DEVICES, OLD_ROWS = 20_000, 500_000
SETTLED_AFTER, SETTLED_AT_ONCE = 12, 200
"""Samples of a device, and devices at once: as a walk of a minute gives samples their keys."""

COMING = 20_000
"""Samples a second of 100,000 devices that report every five seconds."""

LOOP_BUDGET_US = 4.0
LIVE = 200
"""Samples of a commit meanwhile: what a thousand devices say in a second."""

ALONE = 100
STALL_BUDGET_MS = 50.0
KEEP_DAYS, HOURS_DAYS = 30, 730
"""The defaults of the settings."""


def weigh(folder: Path, every_s: int) -> tuple[float, float, float]:
    """Return the bytes of a device's day: samples every `every_s` seconds, sums by minute, sums by hour."""
    store = with_devices(folder / f"every-{every_s}.db", SIZED)
    sizes, per_day = [used(store)], int(DAY_S) // every_s
    with store.transaction():
        for number in range(per_day):  # by time, as devices send: their rows lie side by side
            at = T0 + number * every_s
            history.add_samples(store, [(f"pi5-{device}", telemetry(number, at), at) for device in range(SIZED)])
    sizes.append(used(store))
    rollups = Rollups(store=store)
    with store.transaction():
        while rollups.tick(T0 + 2 * DAY_S):
            pass
    whole = used(store)
    with store.transaction():
        store.connection.execute("DELETE FROM telemetry_hours")
    sizes.append(used(store))
    store.close()
    empty, raw, with_minutes = sizes
    return (raw - empty) / SIZED, (with_minutes - raw) / SIZED, (whole - with_minutes) / SIZED


def used(store: Store) -> int:
    """Return how many bytes of the database hold rows."""
    return store.connection.size().used_bytes


def filled(path: Path, old_rows: int) -> Store:
    """Return a store of samples in the order of their arrival, whose devices take turns."""
    store = with_devices(path, DEVICES)
    names = [f"pi5-{number}" for number in range(DEVICES)]
    with store.transaction():
        store.hold()
    rounds = max(1, old_rows // DEVICES)
    for number in range(rounds):
        at = T0 + 5 * number
        with store.transaction():
            history.add_samples(store, ((name, telemetry(number, at), at) for name in names))
        if number % SETTLED_AFTER == SETTLED_AFTER - 1 or number == rounds - 1:
            settle(store)
    return store


def settle(store: Store) -> None:
    """Give samples their keys."""
    names = store.samples.begin_walk()
    for first in range(0, len(names), SETTLED_AT_ONCE):
        with store.transaction():
            store.samples.settle(names[first : first + SETTLED_AT_ONCE])
    with store.transaction():
        store.samples.end_walk()


def stalls(store: Store) -> tuple[list[float], list[float], float]:
    """Return how long each commit of live samples took, ms, while nothing is due and while old ones go; and how fast.

    That is by the processor time of the thread, as samples a second.
    """
    now, sent, spent_s = T0 + 60 * DAY_S, 0, 0.0
    with store.transaction():
        store.connection.execute("UPDATE rolled SET until = ?", [now])
    store.connection.spread_writes()
    retention = Retention(store=store, keep_days=KEEP_DAYS, max_mb=1e6)
    [before] = store.query("SELECT count(*) AS n FROM telemetry_times")

    def commit(turn: Callable[[float], None] | None = None) -> float:
        nonlocal sent, spent_s
        batch = [(f"pi5-{n % DEVICES}", telemetry(n, now), now) for n in range(sent, sent + LIVE)]
        sent += LIVE
        began = time.perf_counter()
        with store.transaction():
            history.add_samples(store, batch)
        if turn:
            cpu = time.thread_time()
            with store.transaction():
                turn(now)
            spent_s += time.thread_time() - cpu
        return (time.perf_counter() - began) * 1e3

    alone, beside = [commit() for _ in range(ALONE)], [commit(retention.tick)]
    while retention.is_due:
        beside.append(commit(retention.turn))
        store.connection.write_back()
    return alone, beside, before["n"] / spent_s


def tell(name: str, value: float, unit: str, **more: object) -> None:
    """Print a row."""
    print(json.dumps({"name": name, "value": round(value, 2), "unit": unit} | more), flush=True)


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--old", type=int, default=OLD_ROWS, help="samples that are too old")
    old = parser.parse_args().old
    with tempfile.TemporaryDirectory(prefix="edgewatt-bench-") as name:
        for every_s in CADENCES_S:
            raw, minutes, hours = weigh(Path(name), every_s)
            for what, size in (("samples", raw), ("sums by minute", minutes), ("sums by hour", hours)):
                tell(f"a device's day at {every_s} s, {what}", size / 1e3, "kB")
            kept_mb = ((raw + minutes) * KEEP_DAYS + hours * HOURS_DAYS) / 1e6
            tell(
                f"a device at {every_s} s by the defaults", kept_mb, "MB", reference=f"{1e4 / kept_mb:.0f} in 10,000 MB"
            )
        store = filled(Path(name) / "old.db", old)
        alone, beside, rate = stalls(store)
        store.close()
    each_us = 1e6 / rate
    tell(
        "old samples removed in a second of the loop",
        rate,
        "samples",
        reference=f"{COMING:,} come in a second; {each_us:.1f} µs each",
        ratio=round(rate / COMING, 1),
        budget=1e6 / LOOP_BUDGET_US,
        met=each_us <= LOOP_BUDGET_US,
    )
    reference = f"alone {max(alone):.1f} ms"
    held = {"budget": STALL_BUDGET_MS, "met": max(beside) <= STALL_BUDGET_MS}
    tell(f"longest commit while {old} samples go", max(beside), "ms", reference=reference, **held)
    typical = statistics.median(beside)
    tell("median of these commits", typical, "ms", reference=f"alone {statistics.median(alone):.1f} ms")


if __name__ == "__main__":
    main()
