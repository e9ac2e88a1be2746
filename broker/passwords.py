"""The broker's file of users, in Mosquitto's format: a line per user, its password salted and hashed."""

import base64
import binascii
import contextlib
import fcntl
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from broker.errors import InvalidError, StorageError

MARK = "$7$"
"""PBKDF2 with HMAC-SHA-512, as mosquitto_passwd of 2.0 writes it: `$7$iterations$salt$hash`, both in base64."""

ITERATIONS = 101
"""Mosquitto's own. The passwords are 192 random bits, which nobody guesses: more would only slow a fleet's return."""

SALT_BYTES, HASH_BYTES, SECRET_BYTES = 12, 64, 24
MOST_ITERATIONS = 10_000_000


def new_password() -> str:
    """Return a password that nobody guesses, of letters, digits, - and _."""
    return secrets.token_urlsafe(SECRET_BYTES)


def hashed(password: str) -> str:
    """Return what stands for `password` in the file."""
    salt = secrets.token_bytes(SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"{MARK}{ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def matches(password: str, line: str) -> bool:
    """Return whether `line` stands for `password`."""
    if not line.startswith(MARK):
        return False
    try:
        iterations, salt, digest = line.removeprefix(MARK).split("$")
        rounds, expected = int(iterations), base64.b64decode(digest, validate=True)
        raw_salt = base64.b64decode(salt, validate=True)
    except (ValueError, binascii.Error):
        return False
    if not 0 < rounds <= MOST_ITERATIONS:
        return False
    return hmac.compare_digest(hashlib.pbkdf2_hmac("sha512", password.encode(), raw_salt, rounds), expected)


def read_users(path: Path) -> dict[str, str]:
    """Return what stands for each user's password in the file at `path`. Raises InvalidError."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        hint = "`edgewatt init` makes it; the user of this process must be allowed to read it"
        raise InvalidError(f"cannot read the users in {path}: {why}", code="bad_setting", hint=hint) from None
    pairs = (line.partition(":") for line in lines if line.strip() and not line.startswith("#"))
    return {user: stands for user, _, stands in pairs}


def write_users(path: Path, users: Mapping[str, str]) -> None:
    """Put `users` in the file at `path`, whole or not at all, readable for whom it was. Raises StorageError.

    Mosquitto reads it again at SIGHUP as its own user; a file that it cannot read then locks everybody out.
    """
    temporary = path.with_name(path.name + ".new")
    text = "".join(f"{user}:{stands}\n" for user, stands in sorted(users.items()))
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            _take_after(path, file.fileno())
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        with _opened(path.parent) as folder:
            os.fsync(folder)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        hint = "it must belong to whoever changes it, and stay readable for the broker's user"
        raise StorageError(f"cannot write the users in {path}: {error.strerror}", hint=hint) from error


@contextlib.contextmanager
def changing(path: Path) -> Iterator[dict[str, str]]:
    """Yield the users in the file at `path` to be changed, alone; they are written when something changed.

    Raises InvalidError and StorageError.
    """
    with _opened(path.parent) as folder:
        fcntl.flock(folder, fcntl.LOCK_EX)
        users = read_users(path)
        before = dict(users)
        yield users
        if users != before:
            write_users(path, users)


def _take_after(path: Path, handle: int) -> None:
    """Give an open file the owner, group and mode of `path`, where there is one."""
    with contextlib.suppress(FileNotFoundError):
        like = path.stat()
        if (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(handle, like.st_uid, like.st_gid)
        os.fchmod(handle, like.st_mode & 0o777)


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        yield handle
    finally:
        os.close(handle)
