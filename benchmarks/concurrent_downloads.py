"""A fleet fetches one model at once, by signed addresses: the controller, and nginx on the same file, in turns.

`--devices 2000 --mb 20 --rounds 3` are other sizes. Peers are nginx that serves the file to anybody, and nginx in front
of the controller as `deploy/nginx` configures it, without TLS: it asks the controller each time who may have the file.
"""

import argparse
import contextlib
import hashlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks._download_clients import Job
from benchmarks._nginx import found, free_port, in_front, running, static

BUDGET = 0.7
SLOW_BUDGET = 0.8
LIVEZ_BUDGET_MS = 250.0
GROWTH_BUDGET_MB = 100.0
"""A hundredth of what five hundred files are."""

LIVEZ_EVERY_S = 0.02
Ran = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Place:
    """The servers of one file, under which paths each device asks them, and who asks."""

    ports: dict[str, int]
    paths: dict[str, list[str]]
    file: Path
    size: int
    controller: psutil.Process
    answered_s: list[float] = field(default_factory=list)
    rss: list[int] = field(default_factory=list)

    def job(self, server: str, **more: Any) -> Job:
        """Return what all devices do at `server`."""
        return Job(**{"port": self.ports[server], "paths": self.paths[server], "size": self.size} | more)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Ask the controller for something else meanwhile, and look at its memory."""
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(over,))
        watcher.start()
        yield
        over.set()
        watcher.join()

    def _watch(self, over: threading.Event) -> None:
        asking = http.client.HTTPConnection("127.0.0.1", self.ports["edgewatt"], timeout=60)
        while not over.wait(LIVEZ_EVERY_S):
            began = time.perf_counter()
            asking.request("GET", "/livez")
            asking.getresponse().read()
            self.answered_s.append(time.perf_counter() - began)
            self.rss.append(self.controller.memory_info().rss)


@contextlib.contextmanager
def clients(job: Job) -> Iterator["subprocess.Popen[str]"]:
    """Yield clients that are connected and wait for a line; they end with the block."""
    command = [sys.executable, "-m", "benchmarks._download_clients"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(json.dumps(asdict(job)) + "\n")
            process.stdin.flush()
            if process.stdout.readline() != "ready\n":
                raise SystemExit(f"the clients of port {job.port} are not connected")
            yield process
        finally:
            process.kill()


def fetched(job: Job) -> Ran:
    """Let the clients of `job` fetch; refuses a turn in which one did not get what was promised."""
    with clients(job) as process:
        said, _ = process.communicate("now\n")
    ran: Ran = json.loads(said)
    if ran["right"] != len(job.paths):
        raise SystemExit(f"port {job.port}: {ran['right']} of {len(job.paths)} came whole; {ran['heads']}")
    return ran | {"mb_per_s": ran["bytes"] / 1e6 / ran["took_s"]}


def jain(figures: list[float]) -> float:
    """Return Jain's index: 1 when all have the same, 1/n when one has everything."""
    return sum(figures) ** 2 / (len(figures) * sum(each**2 for each in figures))


def spread(ran: Ran) -> float:
    """Return the 5th percentile of the times to completion, by the 95th."""
    cuts = statistics.quantiles(ran["each_s"], n=20)
    return cuts[0] / cuts[-1]


def tell(name: str, value: float, unit: str, **more: Any) -> None:
    """Print a row."""
    print(json.dumps({"name": name, "value": round(value, 3), "unit": unit} | more), flush=True)


def compared(name: str, runs: dict[str, list[Ran]], ours: str, budget: float | None) -> None:
    """Print what `ours` reached, and by how much nginx with the same file was faster."""
    mine, other = ([ran["mb_per_s"] for ran in runs[server]] for server in (ours, "nginx"))
    ratio = statistics.median(a / b for a, b in zip(mine, other, strict=True))
    held = {} if budget is None else {"budget": budget, "met": ratio >= budget}
    reference = f"nginx {statistics.median(other):.0f} MB/s"
    tell(name, round(statistics.median(mine)), "MB/s", reference=reference, ratio=round(ratio, 2), **held)


def turns(place: Place, rounds: int, servers: tuple[str, ...], **more: Any) -> dict[str, list[Ran]]:
    """Return what the servers do, one after the other, several times."""
    runs: dict[str, list[Ran]] = {server: [] for server in servers}
    for _ in range(rounds):
        for server in servers:
            with place.watched() if server == "edgewatt" else contextlib.nullcontext():
                runs[server].append(fetched(place.job(server, **more)))
    return runs


def together(place: Place, rounds: int) -> None:
    """All devices at once: the whole file, and the rest of it."""
    devices = len(place.paths["edgewatt"])
    before = place.controller.memory_info().rss
    runs = turns(place, rounds, ("edgewatt", "nginx", "front"))
    compared(f"{devices} fetch a file at once", runs, "edgewatt", BUDGET)
    compared(f"{devices} fetch a file at once, nginx in front asks each time", runs, "front", BUDGET)
    mine, other = runs["edgewatt"][-1], runs["nginx"][-1]
    tell("their times to completion, p5 : p95", spread(mine), "", reference=f"nginx {spread(other):.2f}")
    rates, theirs = (jain([1 / each for each in ran["each_s"]]) for ran in (mine, other))
    tell("Jain's index of their rates", rates, "", reference=f"nginx {theirs:.2f}")
    runs = turns(place, rounds, ("edgewatt", "nginx"), first=place.size // 3)
    compared(f"{devices} resume a file at once", runs, "edgewatt", BUDGET)
    growth = (max(place.rss) - before) / 1e6
    held = {"budget": GROWTH_BUDGET_MB, "met": growth <= GROWTH_BUDGET_MB}
    tell(f"memory for {devices} downloads", growth, "MB more", reference=f"{before / 1e6:.0f} MB before", **held)
    p95 = statistics.quantiles(place.answered_s, n=20)[-1] * 1e3
    tell("GET /livez meanwhile, p95", p95, "ms", budget=LIVEZ_BUDGET_MS, met=p95 <= LIVEZ_BUDGET_MS)
    checked = fetched(place.job("edgewatt", check=str(place.file)))
    tell("of them with every byte right", checked["right"], f"of {devices}")


def beside_slow(place: Place, rounds: int) -> None:
    """Half of the devices take 1 MB/s each: how fast the others are, to how fast they are alone."""
    half = {server: paths[len(paths) // 2 :] for server, paths in place.paths.items()}
    slow = {server: paths[: len(paths) // 2] for server, paths in place.paths.items()}
    rates: dict[str, list[float]] = {"edgewatt": [], "nginx": []}
    beside: list[float] = []
    for _ in range(rounds):
        for server, ratios in rates.items():
            alone = fetched(place.job(server, paths=half[server]))
            with clients(place.job(server, paths=slow[server], slow=True)) as dawdling:
                assert dawdling.stdin
                dawdling.stdin.write("now\n")
                dawdling.stdin.flush()
                with_them = fetched(place.job(server, paths=half[server]))
            ratios.append(with_them["mb_per_s"] / alone["mb_per_s"])
            if server == "edgewatt":
                beside.append(with_them["mb_per_s"])
    ours, theirs = (statistics.median(ratios) for ratios in rates.values())
    name = f"{len(half['edgewatt'])} beside as many slow ones"
    said = {"reference": f"alone; nginx {theirs:.2f}", "budget": SLOW_BUDGET, "met": ours >= SLOW_BUDGET}
    tell(name, round(statistics.median(beside)), "MB/s", ratio=round(ours, 2), **said)


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--devices", type=int, default=500)
    parser.add_argument("--mb", type=int, default=20, help="size of the file")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each server")
    asked = parser.parse_args()
    if found() is None:
        print("skipped: nginx is not installed (apt-get install nginx-light)")
        return
    with tempfile.TemporaryDirectory(prefix="edgewatt-bench-") as name, served(Path(name), asked) as place:
        fetched(place.job("front", paths=place.paths["front"][:1]))  # nginx in front has it from now on
        together(place, asked.rounds)
        beside_slow(place, 1)


@contextlib.contextmanager
def served(folder: Path, asked: argparse.Namespace) -> Iterator[Place]:
    """Yield the three servers of a file of random bytes."""
    content = os.urandom(asked.mb * 1_000_000)
    sha256 = hashlib.sha256(content).hexdigest()
    file = folder / "served" / "models" / "sha256" / sha256
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    ports = {server: free_port() for server in ("edgewatt", "nginx", "front")}
    told = [str(folder), str(ports["edgewatt"]), str(asked.devices)]
    ours = [sys.executable, "-m", "benchmarks._download_server", *told]
    with (
        running(ours, ports["edgewatt"]) as controller,
        running(static(folder / "nginx", folder / "served", ports["nginx"]), ports["nginx"]),
        running(in_front(folder / "front", ports["front"], ports["edgewatt"]), ports["front"]),
    ):
        signed = json.loads((folder / "addresses.json").read_text())
        paths = {"edgewatt": signed, "nginx": [f"/models/sha256/{sha256}"] * asked.devices, "front": signed}
        process = psutil.Process(controller.pid)
        yield Place(ports=ports, paths=paths, file=file, size=len(content), controller=process)


if __name__ == "__main__":
    main()
