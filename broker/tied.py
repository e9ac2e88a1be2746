"""Ties the life of a child process to that of its parent."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1


def dies_with_us() -> Callable[[], None]:
    """Return what a new child of this process calls so that it does not outlive us."""
    return dies_with(os.getpid())


def dies_with(parent: int) -> Callable[[], None]:
    """Return what a child of `parent` calls so that the kernel kills it when `parent` is gone, even by SIGKILL.

    Linux only (prctl PR_SET_PDEATHSIG); elsewhere a child outlives a killed parent.
    """
    if not sys.platform.startswith("linux"):
        return lambda: None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def tie() -> None:
        prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return tie
