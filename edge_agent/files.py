"""Writes files so that a power cut leaves the old one or the new one, never half of one."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

from broker.errors import StorageError

Replace = Callable[[Path, Path], None]


def write_whole(path: Path, data: bytes, *, replace: Replace = os.replace) -> None:
    """Put `data` at `path`: temporary file, fsync, rename, fsync of the folder.

    Raises StorageError when the disk refuses.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise storage_error(error, path) from error


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
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
