"""A folder to work in beside what is to appear: gone after a success, a failure, and the next start after a kill."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def workplace(beside: Path, prefix: str) -> Iterator[Path]:
    """Give an empty folder in `beside` to this process alone; remove those of processes that died. Raises OSError."""
    for left in beside.glob(f"{prefix}*"):
        _remove_if_dead(left)
    place = Path(tempfile.mkdtemp(dir=beside, prefix=prefix))
    held = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield place
    finally:
        os.close(held)
        shutil.rmtree(place, ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Make sure that the names in `folder` survive a power cut."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _remove_if_dead(place: Path) -> None:
    """Remove what a killed process left; a living one holds its lock."""
    with contextlib.suppress(OSError):
        held = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(place, ignore_errors=True)
        finally:
            os.close(held)
