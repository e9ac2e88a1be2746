"""Writes files so that a power cut leaves the old one or the new one, never half of one, and counts what it wrote."""

import contextlib
import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from io import FileIO, RawIOBase
from pathlib import Path

from broker.errors import StorageError

Replace = Callable[[Path, Path], None]

BLOCK_BYTES = 4_096
"""What flash is written by at least, however few bytes change."""


@dataclass(slots=True)
class Written:
    """What this process gave to its disk: bytes, the blocks that they touch, and how often it waited for the disk."""

    bytes: int = 0
    blocks: int = 0
    syncs: int = 0

    def add(self, size: int, *, at: int = 0) -> None:
        """Count `size` bytes that begin `at` bytes from the start of a file."""
        self.bytes += size
        self.blocks += -(-(at + size) // BLOCK_BYTES) - at // BLOCK_BYTES if size else 0


WRITTEN = Written()


def write_whole(path: Path, data: bytes, *, replace: Replace = os.replace) -> None:
    """Put `data` at `path`: temporary file, fsync, rename, fsync of the folder.

    Raises StorageError when the disk refuses.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            sync(file.fileno())
        WRITTEN.add(len(data))
        replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise storage_error(error, path) from error


def append(path: Path, data: bytes) -> None:
    """Add `data` to the file at `path`, made with its folder where it is not there, and fsync it.

    Raises StorageError when the disk refuses, and leaves the file as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as file:
            before = file.tell()
            try:
                put(file, data)
                sync(file.fileno())
                if not before:
                    sync_folder(path.parent)
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(before)
                raise
        WRITTEN.add(len(data), at=before)
    except OSError as error:
        raise storage_error(error, path) from error


def put(file: RawIOBase | FileIO, data: bytes) -> None:
    """Write all of `data` to an unbuffered `file`; raises OSError."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) or 0 :]


def sync(handle: int) -> None:
    """Wait until the disk has what was written to `handle`; raises OSError."""
    os.fsync(handle)
    WRITTEN.syncs += 1


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        sync(handle)
    finally:
        os.close(handle)


def storage_error(error: OSError, path: Path) -> StorageError:
    """Return the sentence for a disk that refused to write `path`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(f"No space left on the device for {path.name}", hint="free some disk, then try again")
    return StorageError(
        f"cannot write {path}: {error.strerror or error}",
        code="storage_failed",
        hint="check the permissions and the health of the data folder",
    )
