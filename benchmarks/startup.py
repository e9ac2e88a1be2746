"""How long starts take: broker, controller, the dashboard's first page, `edgewatt up`, `demo` to a live device.

Peers are what each start cannot be faster than, or what does the like: an empty Python, Mosquitto, `streamlit hello`.
`cpu` is the processor time of a start and its children, which other programs on the machine disturb least.
`--rounds 3` takes the median of three; `--demo 20` counts that many devices in the demo.
"""

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from benchmarks._mosquitto import mosquitto
from benchmarks._saying import say
from benchmarks._streamlit_session import Session
from controller.cli import stack
from controller.cli.ports import some_free
from controller.cli.processes import Program
from controller.cli.readiness import answers_http, answers_mqtt, wait_until

READY_S = 120.0


@dataclass(frozen=True, slots=True)
class Start:
    """One start: seconds on the wall, and of the processor until then."""

    took_s: float
    cpu_s: float


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--demo", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgewatt-startup-") as name:
        folder = Path(name)
        empty = several(asked.rounds * 3, lambda: timed([sys.executable, "-c", "pass"], ends))
        peer = f"python -c pass {empty.took_s:.2f} s"
        with mosquitto(folder) as port:
            place = placed(folder, port)
            for word in ("first start", "later start"):
                row(f"controller, {word} to ready", several(asked.rounds, partial(controller, place)), peer, empty)
            dashboards(place, asked.rounds)
        brokers(folder, asked.rounds)
        whole("up", folder, asked.rounds)
        whole("demo", folder, asked.rounds, "--devices", str(asked.demo))


def placed(folder: Path, mqtt_port: int) -> stack.Stack:
    """Return where a stack of ours listens."""
    port, dashboard_port = some_free(2)
    return stack.Stack(
        data=folder / "stack", broker="mosquitto", mqtt_port=mqtt_port, port=port, dashboard_port=dashboard_port
    )


def controller(place: stack.Stack) -> Start:
    """Start the controller until it says that it is ready, and end it."""
    program = stack.controller_program(place)
    return timed(program.argv, lambda _: answers_http(place.port, "/readyz"))


def dashboards(place: stack.Stack, rounds: int) -> None:
    """Say how long the dashboard needs until its first page is drawn whole, beside Streamlit's own demonstration."""
    with running(stack.controller_program(place)):
        if not wait_until(partial(answers_http, place.port, "/readyz"), within_s=READY_S):
            raise SystemExit("the controller does not get ready")
        ours = several(rounds, lambda: page(stack.dashboard_program(place), place.dashboard_port))
    options = (f"--server.port={place.dashboard_port}", "--server.headless=true", "--browser.gatherUsageStats=false")
    hello = Program(name="hello", argv=(sys.executable, "-m", "streamlit", "hello", *options))
    theirs = several(rounds, lambda: page(hello, place.dashboard_port))
    row("dashboard, start to its first page", ours, f"streamlit hello {theirs.took_s:.2f} s", theirs)


def page(program: Program, port: int) -> Start:
    """Start a Streamlit app until a viewer's first page is drawn, and end it."""

    def drawn(_process: subprocess.Popen[bytes]) -> bool:
        if not answers_http(port, "/_stcore/health"):
            return False
        with Session(f"http://127.0.0.1:{port}") as session:
            session.open("")
        return True

    return timed(program.argv, drawn, env=dict(program.env))


def brokers(folder: Path, rounds: int) -> None:
    """Say how long the embedded broker needs until it lets a client in, beside Mosquitto."""
    [port] = some_free(1)
    (folder / "broker.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    answers = partial(answers_mqtt, port)
    small = [stack.find_mosquitto(), "-c", str(folder / "broker.conf")]
    theirs = several(rounds, lambda: timed(small, lambda _: answers()))
    embedded = [sys.executable, "-m", "broker.embedded", "--host", "127.0.0.1", "--port", str(port)]
    ours = several(rounds, lambda: timed(embedded, lambda _: answers()))
    row("embedded broker, start to ready", ours, f"mosquitto {theirs.took_s:.2f} s", theirs)


def whole(command: str, folder: Path, rounds: int, *options: str) -> None:
    """Say how long `edgewatt up` or `demo` needs until it reports, on a fresh folder and again on the same."""
    for word in ("first start", "later start"):
        found = [reported(command, folder / command, options, fresh=word == "first start") for _ in range(rounds)]
        start = middle([each for each, _ in found])
        say(f"edgewatt {command}, {word} to all up", start.took_s, "s", cpu=f"{start.cpu_s:.1f} s")
        live = [report["first_live_s"] for _, report in found if report["first_live_s"] is not None]
        if live:
            say(f"edgewatt {command}, {word} to the first live device", statistics.median(live), "s")


def reported(command: str, data: Path, options: Sequence[str], *, fresh: bool) -> tuple[Start, dict[str, float | None]]:
    """Run the command until it prints its report, end it, and return both."""
    ports = [str(port) for port in some_free(3)]
    where = ["--port", ports[0], "--mqtt-port", ports[1], "--dashboard-port", ports[2], "--data", str(data)]
    argv = [
        sys.executable,
        "-m",
        "controller.cli",
        command,
        "--json",
        *where,
        *options,
        *(["--fresh"] if fresh else []),
    ]
    lines: list[bytes] = []

    def told(process: subprocess.Popen[bytes]) -> bool:
        assert process.stdout is not None
        lines.append(process.stdout.readline())
        return True

    start = timed(argv, told, stdout=subprocess.PIPE, politely=signal.SIGINT)
    return start, json.loads(lines[0])


def timed(
    argv: Sequence[str],
    ready: Callable[[subprocess.Popen[bytes]], bool],
    *,
    env: dict[str, str] | None = None,
    stdout: int = subprocess.DEVNULL,
    politely: signal.Signals = signal.SIGTERM,
) -> Start:
    """Start a program until `ready`, end it, and say what it took."""
    began = time.perf_counter()
    with subprocess.Popen(argv, stdout=stdout, stderr=subprocess.DEVNULL, env={**os.environ, **(env or {})}) as process:
        try:
            cpu_s = 0.0
            while not ready(process):
                if process.poll() is not None or time.perf_counter() - began > READY_S:
                    raise SystemExit(f"{' '.join(argv[:4])} does not get ready")
                time.sleep(0.01)
            took_s, cpu_s = time.perf_counter() - began, used_s(process.pid)
        finally:
            process.send_signal(politely)
    return Start(took_s, cpu_s)


def ends(process: subprocess.Popen[bytes]) -> bool:
    """Wait for the end of a program that is ready when it has ended."""
    return process.wait() == 0


def used_s(pid: int) -> float:
    """Return the processor time that a process and its children took; 0 for one that has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        found = psutil.Process(pid)
        times = [each.cpu_times() for each in (found, *found.children(recursive=True))]
        return sum(each.user + each.system + each.children_user + each.children_system for each in times)
    return 0.0


@contextlib.contextmanager
def running(program: Program) -> Iterator[None]:
    """Run a program meanwhile."""
    with subprocess.Popen(program.argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def several(rounds: int, once: Callable[[], Start]) -> Start:
    """Return the middle of some starts."""
    return middle([once() for _ in range(rounds)])


def middle(starts: Sequence[Start]) -> Start:
    """Return the median of wall and processor times."""
    return Start(statistics.median(each.took_s for each in starts), statistics.median(each.cpu_s for each in starts))


def row(name: str, start: Start, peer: str, than: Start) -> None:
    """Print a start beside its peer's."""
    say(name, start.took_s, "s", reference=peer, ratio=start.took_s / than.took_s, cpu=f"{start.cpu_s:.2f} s")


if __name__ == "__main__":
    main()
