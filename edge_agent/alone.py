"""Keeps a data folder for one agent at a time: two would write one journal."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from broker.errors import ConflictError, StorageError


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold `folder`, made when it is not there, until the end of the process at the latest.

    Raises ConflictError while another agent holds it, StorageError when it cannot be written.
    """
    path = folder / "lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = path.open("w")
    except OSError as error:
        raise StorageError(
            f"the data folder {folder} cannot be used: {error.strerror or error}",
            hint="mend its owner or free some disk, or name another folder with --data",
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError(
                f"another agent runs on {folder}", code="in_use", hint="end it, or name another folder with --data"
            ) from None
        yield
