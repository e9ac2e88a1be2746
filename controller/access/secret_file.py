"""Writes a secret into a file that is whole or not there, and that nobody else reads."""

import os
from pathlib import Path

from broker.errors import InvalidError


def write_secret(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whose folder is made for its owner only. Raises InvalidError (`bad_key`)."""
    part = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise unusable(path, error) from None


def unusable(path: Path, error: OSError) -> InvalidError:
    """Return what tells that `path` cannot be read or written."""
    hint = "give the controller's user the right to read and write there"
    return InvalidError(f"cannot use {path}: {error.strerror}", code="bad_key", hint=hint)
