"""Tells whether a controller works in a data folder: each one that runs there holds a lock, shared with its like."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from broker.errors import ConflictError, StorageError

LOCK = "controller.lock"


@contextmanager
def working_in(data: Path) -> Iterator[None]:
    """Hold `data`, made when missing, for a controller. Raises ConflictError while it is replaced, StorageError."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = (data / LOCK).open("w")
    except OSError as error:
        raise StorageError(f"cannot write to {data}: {error.strerror}", hint="name another with --data") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError(
                f"{data} is being restored", code="in_use", hint="start the controller when that is done"
            ) from None
        yield


@contextmanager
def nobody_in(data: Path) -> Iterator[None]:
    """Keep controllers out of `data` while the context lasts. Raises ConflictError where one runs."""
    if not (data / LOCK).exists():  # no controller ever ran there
        yield
        return
    try:
        lock = (data / LOCK).open("a")
    except OSError as error:
        raise StorageError(f"cannot write to {data}: {error.strerror}", hint="who owns it?") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError(f"a controller runs on {data}", code="in_use", hint="stop it first") from None
        yield
