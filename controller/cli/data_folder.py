"""The folder of a local EdgeWatt: kept between runs, and used by one run at a time."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from broker.errors import ConflictError, StorageError

OURS = ("agents", "broker", "controller", "logs")


@contextmanager
def held(folder: Path, *, fresh: bool = False) -> Iterator[Path]:
    """Hold `folder` for this process, emptied of our files when `fresh`; made when it is not there.

    Raises ConflictError while another process holds it, StorageError when it cannot be written.
    """
    try:
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise StorageError(f"cannot write to {folder}: {error.strerror}", hint="name another with --data") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError(
                f"another EdgeWatt runs on {folder}", code="in_use", hint="end it, or name another folder with --data"
            ) from None
        if fresh:
            _empty(folder)
        yield folder


def _empty(folder: Path) -> None:
    for name in OURS:
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "logs").mkdir()
