"""What the store does a second, beside bare sqlite3; `--database postgresql://…/empty` measures that server, too."""

import argparse
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks._samples import T0, telemetry, with_devices
from broker.messages import Telemetry
from controller.storage.database import Place, Server
from controller.telemetry import history

DEVICES, BATCH, BATCHES, SMALL = 100, 1_000, 10, 500
ROUNDS = 9
BARE_BUDGET = 0.5


def sample(number: int) -> tuple[str, Telemetry, float]:
    """Return a sample, from whom, and when it arrives; each device counts its own."""
    return f"pi5-{number % DEVICES}", telemetry(number // DEVICES, T0 + number), T0 + number


def rate(count: int, work: Callable[[], None]) -> float:
    """Return how many of `count` things `work` does a second."""
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def measure(place: Place) -> dict[str, float]:
    """Return what a store at `place` does a second."""
    store = with_devices(place, DEVICES)

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


def beside_bare(folder: Path) -> tuple[float, float, float]:
    """Return how many samples a second we and bare sqlite3 commit, in turns, and the ratio.

    Bare has one table with the same columns and the same two keys, and its rows ready; ours are messages. Bare binds as
    sqlite3 does where nobody has told it of a shorter way for None, which our store does.
    """
    store, bare = with_devices(folder / "ours.db", DEVICES), sqlite3.connect(folder / "bare.db", isolation_level=None)
    columns = store.query("SELECT name, type FROM pragma_table_info('telemetry') WHERE name <> 'id'")
    names, table = (
        ", ".join(row["name"] for row in columns),
        ", ".join(f"{row['name']} {row['type']}" for row in columns),
    )
    for statement in (
        "PRAGMA journal_mode=WAL",
        "PRAGMA synchronous=NORMAL",
        f"CREATE TABLE telemetry ({table}, PRIMARY KEY (device_id, session, seq)) STRICT",
        "CREATE INDEX by_time ON telemetry (device_id, ts)",
    ):
        bare.execute(statement)
    insert = f"INSERT INTO telemetry ({names}) VALUES ({', '.join('?' * len(columns))})"

    def ours(batch: list[tuple[str, Telemetry, float]]) -> None:
        with store.transaction():
            history.add_samples(store, batch)

    def theirs(rows: list[tuple[Any, ...]]) -> None:
        ways = dict(sqlite3.adapters)
        sqlite3.adapters.clear()
        bare.execute("BEGIN IMMEDIATE")
        bare.executemany(insert, rows)
        bare.execute("COMMIT")
        sqlite3.adapters.update(ways)

    rates = []
    for turn in range(ROUNDS):
        batch = [sample(number) for number in range(turn * BATCH, (turn + 1) * BATCH)]
        mine = rate(BATCH, lambda batch=batch: ours(batch))  # type: ignore[misc]  # bound now
        rows = store.connection.execute(f"SELECT {names} FROM telemetry ORDER BY id DESC LIMIT ?", [BATCH]).fetchall()
        rates.append((mine, rate(BATCH, lambda rows=rows: theirs(rows))))  # type: ignore[misc]
    bare.close()
    store.close()
    mine, other = (statistics.median(each) for each in zip(*rates, strict=True))
    return mine, other, statistics.median(a / b for a, b in rates)


def main() -> None:
    """Print a row for each, and how they compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", help="an empty database of PostgreSQL; without it only a file is measured")
    database = parser.parse_args().database
    with tempfile.TemporaryDirectory() as folder:
        file = measure(Path(folder) / "store.db")
        mine, bare, ratio = beside_bare(Path(folder))
    server = measure(Server(database)) if database else {}
    for what, per_s in file.items():
        said: dict[str, Any] = {"name": what, "value": round(per_s), "unit": "per s"}
        if server:
            said |= {"reference": f"PostgreSQL {server[what]:.0f}", "ratio": round(per_s / server[what], 2)}
        print(json.dumps(said))
    row = {"name": "samples beside bare executemany", "value": round(mine), "unit": "per s"}
    row |= {"reference": f"sqlite3 {bare:.0f}", "ratio": round(ratio, 2), "budget": BARE_BUDGET}
    print(json.dumps(row | {"met": ratio >= BARE_BUDGET}))


if __name__ == "__main__":
    main()
