"""How large a day of telemetry is, and how long a commit waits while old telemetry goes; more with `--old 5000000`."""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks._samples import T0, telemetry, with_devices
from controller.storage.store import Store
from controller.telemetry import history
from controller.telemetry.retention import Retention
from controller.telemetry.rollups import DAY_S, Rollups

CADENCES_S = (5, 60)
SIZED = 4
"""Devices whose day is weighed."""

DEVICES, OLD_ROWS = 100, 500_000
LIVE = 200
"""Samples of a commit meanwhile: what a thousand devices say in a second."""

ALONE = 100
STALL_BUDGET_MS = 250.0
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


def stalls(folder: Path, old_rows: int) -> tuple[list[float], list[float]]:
    """Return how long each commit of live samples took, ms: while nothing is due, and while `old_rows` old ones go."""
    store, now = with_devices(folder / "old.db", DEVICES), T0 + 60 * DAY_S
    for first in range(0, old_rows, 50_000):
        with store.transaction():
            numbers = range(first, min(first + 50_000, old_rows))
            history.add_samples(store, ((f"pi5-{n % DEVICES}", telemetry(n, T0 + n), T0 + n) for n in numbers))
    with store.transaction():
        store.connection.execute("UPDATE rolled SET until = ?", [now])
    retention = Retention(store=store, keep_days=KEEP_DAYS, max_mb=1e6)
    sent = old_rows

    def commit(*, due: bool) -> float:
        nonlocal sent
        batch = [(f"pi5-{n % DEVICES}", telemetry(n, now), now) for n in range(sent, sent + LIVE)]
        sent += LIVE
        began = time.perf_counter()
        with store.transaction():
            history.add_samples(store, batch)
            if due:
                retention.tick(now)
        return (time.perf_counter() - began) * 1e3

    alone, beside = [commit(due=False) for _ in range(ALONE)], []
    while store.query("SELECT 1 FROM telemetry WHERE ts < ? LIMIT 1", [now - KEEP_DAYS * DAY_S]):
        beside.append(commit(due=True))
    store.close()
    return alone, beside


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
        alone, beside = stalls(Path(name), old)
    reference = f"alone {max(alone):.1f} ms"
    held = {"budget": STALL_BUDGET_MS, "met": max(beside) <= STALL_BUDGET_MS}
    tell(f"longest commit while {old} samples go", max(beside), "ms", reference=reference, **held)
    typical = statistics.median(beside)
    tell("median of these commits", typical, "ms", reference=f"alone {statistics.median(alone):.1f} ms")


if __name__ == "__main__":
    main()
