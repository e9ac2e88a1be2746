"""Begins a worker in bounds: it dies with the controller, yields to it, and is the first to go when memory ends.

`python -m controller.workshop.confined PARENT_PID MEMORY_MB ARGUMENTS…` becomes this interpreter with ARGUMENTS. A
process of its own rather than a function between fork and exec: the controller has threads.
"""

import os
import resource
import sys
from contextlib import suppress
from pathlib import Path

from broker.tied import dies_with

NICENESS = 10
FIRST_TO_GO = 1_000
MB = 1_000_000


def main() -> None:
    """Bind this process, and become the worker."""
    parent, memory_mb, *arguments = sys.argv[1:]
    dies_with(int(parent))()
    os.nice(NICENESS)
    with suppress(OSError):  # not Linux
        Path("/proc/self/oom_score_adj").write_text(str(FIRST_TO_GO), "ascii")
    # Not the address space: PyTorch reserves tens of gigabytes of it that it never touches.
    limit = int(memory_mb) * MB
    with suppress(ValueError, OSError):  # a lower limit was set from outside
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - our own interpreter


if __name__ == "__main__":
    main()
