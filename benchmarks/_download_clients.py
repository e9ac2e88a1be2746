"""Clients of a file server in a process of their own, many in one loop, that read into one buffer and keep nothing.

Told as JSON on standard input what to do; `ready` is printed when all are connected, and the figures at the end.
"""

import json
import selectors
import socket
import sys
import time
from dataclasses import dataclass

import numpy as np

from controller.downloads import take_open_files

BUFFER_BYTES = 1 << 18
SLOW_BYTES_PER_S, SLOW_READ_BYTES = 1_000_000, 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to fetch: each of `paths` from `first` on; `check` is the file that it has to be, of `size` bytes."""

    port: int
    paths: list[str]
    size: int
    first: int = 0
    check: str = ""
    slow: bool = False


@dataclass(slots=True)
class Client:
    """One that downloads: what it has got, whether other bytes than it should, and when it was done."""

    door: socket.socket
    head: bytes = b""
    got: int = 0
    wrong: bool = False
    done_s: float = 0.0


def connected(job: Job, path: str) -> tuple[Client, bytes]:
    """Return a client with a connection, and what it is going to ask."""
    door = socket.socket()
    if job.slow:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_READ_BYTES)
    door.settimeout(60)
    door.connect(("127.0.0.1", job.port))
    extra = f"Range: bytes={job.first}-\r\n" if job.first else ""
    return Client(door), f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n{extra}\r\n".encode()


def fetch(job: Job) -> dict[str, object]:
    """Fetch all at once and return how it went."""
    content = np.fromfile(job.check, dtype=np.uint8) if job.check else None
    asking = [connected(job, path) for path in job.paths]
    print("ready", flush=True)
    sys.stdin.readline()
    waiting, buffer = selectors.DefaultSelector(), bytearray(BUFFER_BYTES)
    began = time.perf_counter()
    for client, request in asking:
        client.door.sendall(request)
        client.door.setblocking(False)
        waiting.register(client.door, selectors.EVENT_READ, client)
    clients = [client for client, _ in asking]
    resting: list[tuple[float, Client]] = []
    while waiting.get_map() or resting:
        for key, _ in waiting.select(0.01 if resting else None):
            client: Client = key.data
            if not read(client, buffer, job, content):
                waiting.unregister(client.door)
                client.door.close()
                client.done_s = time.perf_counter() - began
            elif job.slow:
                waiting.unregister(client.door)
                resting.append((time.perf_counter() + SLOW_READ_BYTES / SLOW_BYTES_PER_S, client))
        while resting and resting[0][0] <= time.perf_counter():
            _, client = resting.pop(0)
            waiting.register(client.door, selectors.EVENT_READ, client)
    right = [client.got == job.size - job.first and not client.wrong for client in clients]
    return {
        "took_s": time.perf_counter() - began,
        "bytes": sum(client.got for client in clients),
        "each_s": [client.done_s for client in clients],
        "right": sum(right),
        "heads": sorted({client.head.partition(b"\r\n")[0].decode() for client in clients}),
    }


def read(client: Client, buffer: bytearray, job: Job, content: "np.ndarray | None") -> bool:
    """Take what has come for `client`; False when that was all."""
    try:
        count = client.door.recv_into(buffer, SLOW_READ_BYTES if job.slow else BUFFER_BYTES)
    except BlockingIOError:
        return True
    except ConnectionError:
        return False
    start = 0
    if b"\r\n\r\n" not in client.head:
        client.head += bytes(memoryview(buffer)[:count])
        if b"\r\n\r\n" not in client.head:
            return bool(count)
        rest = client.head.partition(b"\r\n\r\n")[2]
        start, client.head = count - len(rest), client.head[: len(client.head) - len(rest)]
    if content is not None:
        place = job.first + client.got
        came = np.frombuffer(buffer, dtype=np.uint8, count=count - start, offset=start)
        client.wrong |= not np.array_equal(came, content[place : place + count - start])
    client.got += count - start
    return count > 0


if __name__ == "__main__":
    take_open_files()
    print(json.dumps(fetch(Job(**json.loads(sys.stdin.readline())))), flush=True)
