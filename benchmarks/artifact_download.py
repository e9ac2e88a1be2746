"""Throughput of the artifact route against nginx: the same file, the same clients, one run in turns."""

import hashlib
import json
import os
import socket
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import uvicorn

from benchmarks._nginx import found, free_port, running, static
from broker.memory import MemoryHub
from controller.api.app import create
from controller.api.zero_copy import zero_copy
from controller.program import compose
from controller.settings import Settings
from controller.storage.store import Store

FILE_BYTES = 40_000_000
ROUNDS = 5
DOWNLOADS = 50
"""In each turn, whether one after the other or all at once."""

BUDGET = 0.7
BUFFER_BYTES = 1 << 20
CASES = (("whole", 1), ("part of the", 1), ("whole", 50), ("part of the", 50))


def main() -> None:
    """Print one row per number of clients, with and without Range."""
    if found() is None:
        print("skipped: nginx is not installed (apt-get install nginx-light)")
        return
    with tempfile.TemporaryDirectory(prefix="edgewatt-bench-") as name:
        folder = Path(name)
        content = os.urandom(FILE_BYTES)
        sha256 = hashlib.sha256(content).hexdigest()
        served = folder / "served" / "models" / "sha256" / sha256
        served.parent.mkdir(parents=True)
        served.write_bytes(content)
        ports = {"edgewatt": free_port(), "nginx": free_port()}
        ours = [sys.executable, "-m", "benchmarks.artifact_download", "serve", str(folder), str(ports["edgewatt"])]
        theirs = static(folder / "nginx", folder / "served", ports["nginx"])
        with running(ours, ports["edgewatt"]), running(theirs, ports["nginx"]):
            for kind, clients in CASES:
                row(kind, clients, f"/models/sha256/{sha256}", ports)


def row(kind: str, clients: int, path: str, ports: dict[str, int]) -> None:
    """Measure both servers in turns and print the medians."""
    speeds: dict[str, list[float]] = {name: [] for name in ports}
    for _ in range(ROUNDS):
        for name, port in ports.items():
            speeds[name].append(mb_per_s(port, path, kind, clients))
    ours, theirs = statistics.median(speeds["edgewatt"]), statistics.median(speeds["nginx"])
    ratio = statistics.median(mine / other for mine, other in zip(speeds["edgewatt"], speeds["nginx"], strict=True))
    figure = {
        "name": f"artifact download, {kind} file, {clients} at once",
        "value": round(ours),
        "unit": "MB/s",
        "reference": f"nginx {theirs:.0f} MB/s",
        "ratio": round(ratio, 2),
        "budget": BUDGET,
        "met": ratio >= BUDGET,
    }
    print(json.dumps(figure), flush=True)


def mb_per_s(port: int, path: str, kind: str, clients: int) -> float:
    """Return what `clients` at once receive together from the server on `port`; refuses any other length."""
    first = FILE_BYTES // 3 if kind != "whole" else 0
    extra = f"Range: bytes={first}-\r\n" if first else ""
    request = f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n{extra}\r\n".encode()
    got: list[int] = []
    each = max(1, DOWNLOADS // clients)

    def client() -> None:
        got.extend(body_bytes(port, request) for _ in range(each))

    threads = [threading.Thread(target=client) for _ in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took_s = time.perf_counter() - began
    if got != [FILE_BYTES - first] * clients * each:
        raise SystemExit(f"port {port} answered {set(got)} bytes, not {FILE_BYTES - first}")
    return sum(got) / 1e6 / took_s


def body_bytes(port: int, request: bytes) -> int:
    """Return how many bytes follow the head of one answer."""
    buffer = bytearray(BUFFER_BYTES)
    with socket.create_connection(("127.0.0.1", port)) as door:
        door.sendall(request)
        head = b""
        while b"\r\n\r\n" not in head:
            head += door.recv(4096)
        received = len(head.partition(b"\r\n\r\n")[2])
        while count := door.recv_into(buffer):
            received += count
    return received


def serve(folder: Path, port: int) -> None:
    """Serve the file from a store of its own, by the application that a controller runs."""
    store = Store(folder / "controller.db")
    parts = compose(Settings(data=folder / "data"), store, MemoryHub().link("bench"), "e1")
    [content] = (folder / "served" / "models" / "sha256").iterdir()
    parts.service.artifacts.add(content, model="bench", format="tflite")
    uvicorn.run(zero_copy(create(parts)), host="127.0.0.1", port=port, log_level="warning", lifespan="off")


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
