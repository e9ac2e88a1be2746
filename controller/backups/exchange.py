"""Puts a folder in the place of another in one step, so that no moment has neither."""

import ctypes
import os
from pathlib import Path

from controller.backups.workplace import sync_folder

AT_FDCWD = -100
RENAME_EXCHANGE = 2
"""linux/fcntl.h and linux/fs.h."""


def replace_folder(new: Path, place: Path, old: Path) -> None:
    """Move `new` to `place`, and what was there to `old`, all in one parent folder. Raises OSError.

    Where the file system cannot exchange two names, there is a moment in which what was at `place` is only at `old`.
    """
    new.rename(old)
    if not _exchange(old, place):
        old.rename(new)
        place.rename(old)
        new.rename(place)
    sync_folder(place.parent)


def _exchange(one: Path, other: Path) -> bool:
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    return bool(renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0)
