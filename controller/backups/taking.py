"""Takes a backup of a data folder, also while a controller works in it: whole, or not there at all."""

import hashlib
import io
import os
import re
import shutil
import sqlite3
import tarfile
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import quote

import msgspec

from broker.errors import ConflictError, NotFoundError, StorageError
from controller.backups import contents
from controller.backups.contents import DATABASE, FORMAT, INSIDE, MANIFEST, VERSION, Entry, Manifest
from controller.backups.owners import group_name
from controller.backups.workplace import sync_folder, workplace
from controller.models.whole import disk_errors

WORKPLACE = ".edgewatt-backup-"
MADE = re.compile(r"edgewatt-\d{8}T\d{6}Z\.tar")
"""What a backup is called that got its name from us; only such files give way to newer ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A backup that is safe on disk, and the older ones that gave way to it."""

    path: Path
    size: int
    manifest: Manifest
    removed: tuple[str, ...] = ()


def take(
    data: Path,
    out: Path,
    *,
    version: str,
    at: float,
    secrets: Path | None = None,
    elsewhere: bool = False,
    keep: int = 0,
) -> Backup:
    """Write a backup of `data` to the file `out`, or under a name of its own into the folder `out`.

    `secrets` is the folder of keys and passwords where those go along. `elsewhere`: the database is in PostgreSQL and
    not taken. `keep` > 0 leaves so many backups in the folder.
    Raises NotFoundError where there is nothing to back up, ConflictError where `out` exists, StorageError.
    """
    _look(data, elsewhere=elsewhere)
    if secrets is not None and not secrets.is_dir():
        raise NotFoundError(f"there are no keys and passwords in {secrets}", code="no_data", hint="`edgewatt init`")
    target = _target(out, at, keep=keep)
    with disk_errors(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        with workplace(target.parent, WORKPLACE) as place:
            _room(data, place, secrets)
            manifest = _write(data, place / target.name, version=version, at=at, secrets=secrets, elsewhere=elsewhere)
            (place / target.name).rename(target)
            sync_folder(target.parent)
        removed = _rotate(target.parent, keep) if keep else ()
        return Backup(path=target, size=target.stat().st_size, manifest=manifest, removed=removed)


def _look(data: Path, *, elsewhere: bool) -> None:
    if (data / DATABASE).is_file() or (elsewhere and (data / "artifacts").is_dir()):
        return
    nested = data / "controller"
    hint = (
        f"its data is in {nested}: --data {nested}" if (nested / DATABASE).is_file() else "name its folder with --data"
    )
    raise NotFoundError(f"there is no controller's data in {data}", code="no_data", hint=hint)


def _target(out: Path, at: float, *, keep: int) -> Path:
    target = out / contents.stamped(at) if out.is_dir() or keep else out
    if target.exists():
        raise ConflictError(
            f"{target} exists", code="exists", hint="name another file; a folder takes many with --keep"
        )
    return target


def _room(data: Path, place: Path, secrets: Path | None) -> None:
    """Refuse at once what cannot fit: the database is there twice for a moment."""
    database = sum(
        path.stat().st_size for path in data.glob(f"{DATABASE}*") if path.name in (DATABASE, f"{DATABASE}-wal")
    )
    needed = 2 * database + sum(_size(path) for _, path in contents.kept_files(data, secrets))
    free = shutil.disk_usage(place).free
    if needed > free:
        raise StorageError(
            f"a backup needs {needed / 1e6:,.0f} MB for a moment, and {place.parent} has {free / 1e6:,.0f} MB free",
            hint="free some space, or name another disk with --out",
        )


def _write(data: Path, file: Path, *, version: str, at: float, secrets: Path | None, elsewhere: bool) -> Manifest:
    """Write the tar: model files before the database and again after it, so that none that it names is missing."""
    with file.open("xb") as raw:
        os.fchmod(raw.fileno(), 0o600)
        with tarfile.open(fileobj=raw, mode="w:gz" if file.suffix == ".gz" else "w") as tar:
            members = _Members(tar, at)
            members.add_all(each for each in contents.kept_files(data, secrets) if _is_model(each[0]))
            steps, counts = ((), {}) if elsewhere else _add_database(data / DATABASE, file.parent / DATABASE, members)
            members.add_all(contents.kept_files(data, secrets))
            manifest = Manifest(
                format=FORMAT,
                version=VERSION,
                edgewatt=version,
                made_at=at,
                database="elsewhere" if elsewhere else "sqlite",
                secrets=secrets is not None,
                steps=steps,
                counts=counts,
                files=tuple(members.entries.values()),
            )
            members.put(MANIFEST, msgspec.json.encode(manifest))
        raw.flush()
        os.fsync(raw.fileno())
    return manifest


def _add_database(live: Path, copy: Path, members: "_Members") -> tuple[tuple[str, ...], dict[str, int]]:
    """Copy the database as it is at one moment; in WAL mode nobody who writes waits for it."""
    try:
        with (
            closing(sqlite3.connect(f"file:{quote(str(live))}?mode=rw", uri=True, timeout=30)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")
            found = described(target)
    except sqlite3.Error as error:
        raise StorageError(f"the database {live} cannot be copied: {error}", hint="is the disk full?") from error
    members.add(copy, DATABASE)
    copy.unlink()
    return found


def described(database: sqlite3.Connection) -> tuple[tuple[str, ...], dict[str, int]]:
    """Return the steps of a database's schema and how many rows its tables have. Raises StorageError when damaged."""
    [said] = database.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise StorageError(
            f"the database is damaged: {said[:200]}",
            code="damaged",
            hint="restore the last backup; keep this one aside",
        )
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    steps: Iterable[tuple[str]] = ()
    if "_sqlite_migrations" in tables:
        steps = database.execute("SELECT name FROM _sqlite_migrations WHERE migration_set = 'edgewatt' ORDER BY name")
    counted = [name for name in contents.COUNTED if name in tables]
    counts = {name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in counted}  # noqa: S608 - our own names
    return tuple(name for (name,) in steps), counts


@dataclass(slots=True)
class _Members:
    """What is in the tar so far."""

    tar: tarfile.TarFile
    at: float
    entries: dict[str, Entry] = field(default_factory=dict)

    def add_all(self, files: Iterable[tuple[str, Path]]) -> None:
        """Add files that are not in yet; one that has gone meanwhile is not missed."""
        for name, path in files:
            if name in self.entries:
                continue
            try:
                self.add(path, name)
            except FileNotFoundError:
                continue
            except PermissionError as error:
                said = f"cannot read {path}: {error.strerror}"
                raise StorageError(said, code="cannot_read", hint="run this as the user of the controller") from None

    def add(self, path: Path, name: str) -> None:
        with path.open("rb") as file:
            stat, reader = os.fstat(file.fileno()), _Hashing(file)
            info = self._info(INSIDE + name, stat.st_size, stat.st_mode & 0o777)
            if name.startswith(f"{contents.SECURITY}/"):
                info.gname = group_name(stat)
            self.tar.addfile(info, reader)
        self.entries[name] = Entry(name=name, size=stat.st_size, sha256=reader.hash.hexdigest())

    def put(self, name: str, content: bytes) -> None:
        self.tar.addfile(self._info(name, len(content)), io.BytesIO(content))

    def _info(self, name: str, size: int, mode: int = 0o600) -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = size, int(self.at), mode
        return info


class _Hashing:
    """A file that is hashed as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self.hash.update(chunk)
        return chunk


def _rotate(folder: Path, keep: int) -> tuple[str, ...]:
    """Remove all but the newest `keep` backups of a folder; files that others named stay."""
    names = sorted(path.name for path in folder.iterdir() if MADE.fullmatch(path.name))
    gone = tuple(names[:-keep])
    for name in gone:
        (folder / name).unlink(missing_ok=True)
    return gone


def _is_model(name: str) -> bool:
    return name.startswith("artifacts/sha256/")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
