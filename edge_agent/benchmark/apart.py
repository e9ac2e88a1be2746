"""Runs an order in a process of its own, so that a model that crashes or hangs costs nothing but itself."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence

from broker.tied import dies_with_us
from broker.wire import encode
from edge_agent.benchmark.child import Answer, Order, understood

COMMAND = (sys.executable, "-m", "edge_agent.benchmark.child")

LAST_WORDS = 200
"""Characters of a dead process's last line that go into its row."""


def measure(order: Order, *, limit_s: float, command: Sequence[str] = COMMAND) -> Answer:
    """Return the answer to `order`; one that took `limit_s` or whose process died says so as its `error`.

    The process and whatever it started are gone when this returns, also by an interrupt.
    """
    with _interrupt_waits():
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=dies_with_us(),  # noqa: PLW1509 - it makes two system calls and takes no lock
        )
    try:
        out, err = process.communicate(encode(order), timeout=limit_s)
    except subprocess.TimeoutExpired:
        return Answer(error=f"did not finish within {limit_s:g} s")
    finally:
        _end(process)
    answer = understood(out.splitlines()[-1]) if out.splitlines() else None
    return answer or Answer(error=_how_it_died(process.returncode, err))


@contextlib.contextmanager
def _interrupt_waits() -> Iterator[None]:
    """Let Ctrl-C wait while a process is born: in the middle of a fork Python would report it and go on."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and its group, and collect it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with process:  # closes its pipes
        process.kill()


def _how_it_died(code: int, err: bytes) -> str:
    lines = err.decode("utf-8", "replace").strip().splitlines()
    said = f": {lines[-1][:LAST_WORDS]}" if lines else ""
    if code >= 0:
        return f"its process ended with code {code} and no answer{said}"
    with contextlib.suppress(ValueError):
        return f"its process died of {signal.Signals(-code).name}{said}"
    return f"its process died of signal {-code}{said}"
