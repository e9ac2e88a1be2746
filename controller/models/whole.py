"""Writes files that appear whole or not at all."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from broker.errors import StorageError


@contextmanager
def temporary(folder: Path) -> Iterator[IO[bytes]]:
    """Give a file in `folder` that is gone afterwards unless it was published."""
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
        try:
            yield file
        finally:
            Path(file.name).unlink(missing_ok=True)


def publish(file: IO[bytes], target: Path) -> None:
    """Give the written `file` the name `target` on the same disk, after both are sure to survive a power cut."""
    file.flush()
    os.fsync(file.fileno())
    os.fchmod(file.fileno(), 0o644)
    Path(file.name).rename(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def disk_errors(place: Path) -> Iterator[None]:
    """Raise what the disk under `place` says as StorageError."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "the disk is full" if full else (error.strerror or str(error))
        raise StorageError(
            f"cannot write to {place}: {what}",
            code="disk_full" if full else "cannot_write",
            hint="free some space or choose another --data folder",
        ) from None
