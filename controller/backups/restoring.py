"""Makes a data folder out of a backup, after every byte of it was checked; in one step, or not at all."""

import gzip
import hashlib
import os
import shutil
import tarfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from broker.errors import ArtifactError, ConflictError, NotFoundError, StorageError
from controller.backups import contents
from controller.backups.contents import INSIDE, MANIFEST, SECURITY, Entry, Manifest
from controller.backups.exchange import replace_folder
from controller.backups.owners import give_to_group, give_to_owner, group_name
from controller.backups.workplace import sync_folder, workplace
from controller.inuse import nobody_in
from controller.models.whole import disk_errors

WORKPLACE = ".edgewatt-restore-"
CHUNK_BYTES = 1 << 20
ENTERED = 0o751
"""A new data folder, which the broker's user has to pass through where the secrets are in it."""

PASSABLE = 0o710
"""A folder whose names its owner reads, while the broker's group reaches the files that it may read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A data folder as it was at a backup; `before` is where its former content is, `security` whose secrets it has."""

    data: Path
    manifest: Manifest
    before: Path | None
    security: str


def check(file: Path) -> Manifest:
    """Read a backup to its end and return its table of contents.

    Raises NotFoundError, ArtifactError for what is no backup, is cut off, or is damaged.
    """
    return _unpack(file, None)


def restore(file: Path, data: Path, *, steps: Collection[str], at: float, force: bool = False) -> Restored:
    """Make `data` what it was when `file` was made; `steps` are those of the schema that this program knows.

    With `force` the former content of `data` stays beside it. Raises as `check` does, ConflictError where `data` is
    not empty, in use or a mount point, StorageError; then `data` is untouched.
    """
    data = data.resolve()
    _may_replace(data, force=force)
    with disk_errors(data.parent):
        data.parent.mkdir(parents=True, exist_ok=True)
        with nobody_in(data), workplace(data.parent, WORKPLACE) as place:
            _room(file, place)
            new = place / "data"
            new.mkdir()
            new.chmod(data.stat().st_mode & 0o777 if data.exists() else ENTERED)
            manifest = _unpack(file, new)
            _known(manifest, steps)
            security = _secrets(manifest, data, new)
            give_to_owner(new, data if data.exists() else data.parent, groups_of=new / SECURITY)
            return Restored(data=data, manifest=manifest, before=_put(new, data, at), security=security)


def _may_replace(data: Path, *, force: bool) -> None:
    if data.exists() and not data.is_dir():
        raise ConflictError(f"{data} is a file", code="exists", hint="name a folder with --data")
    if data.is_mount():
        raise ConflictError(
            f"{data} is a mount point, which nothing can take the place of",
            code="mount_point",
            hint=f"restore into a folder in it: --data {data / 'controller'}",
        )
    if data.is_dir() and any(data.iterdir()) and not force:
        raise ConflictError(
            f"{data} is not empty",
            code="not_empty",
            hint="name another folder, or add --force: what is there is kept beside it",
        )


def _room(file: Path, place: Path) -> None:
    try:
        needed = file.stat().st_size
    except OSError:
        return  # reading it says why not
    free = shutil.disk_usage(place).free
    if needed > free:
        raise StorageError(
            f"this backup needs {needed / 1e6:,.0f} MB, and {place.parent} has {free / 1e6:,.0f} MB free",
            hint="free some space, or name another disk with --data",
        )


def _unpack(file: Path, into: Path | None) -> Manifest:
    """Read every member, write it below `into` if there is one, and hold all of them against the table of contents."""
    found: dict[str, Entry] = {}
    manifest: Manifest | None = None
    with _told(file), tarfile.open(file, "r:*") as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isreg() else None
            if content is None:
                raise contents.foreign(f"{member.name[:80]} in it is no plain file")
            if member.name == MANIFEST:
                manifest = contents.read(content.read())
                continue
            name = _safe(member.name)
            found[name] = _copy(content, name, into, mode=member.mode & 0o777)
            if into and member.gname:
                give_to_group(into / name, member.gname)
    if manifest is None:
        raise _damaged(file, "it ends before its table of contents")
    _compare(file, manifest, found)
    return manifest


@contextmanager
def _told(file: Path) -> Iterator[None]:
    """Raise what reading a file that is no whole tar leads to as a sentence."""
    try:
        yield
    except FileNotFoundError as error:
        if Path(str(error.filename)) != file:
            raise
        raise NotFoundError(f"there is no {file}", code="no_backup", hint="check the path") from None
    except (IsADirectoryError, PermissionError) as error:
        if Path(str(error.filename)) != file:
            raise
        raise ArtifactError(f"cannot read {file}: {error.strerror}", hint="check the path") from None
    except gzip.BadGzipFile:
        raise _damaged(file, "its compression is damaged") from None
    except tarfile.ReadError as error:
        if "could not be opened" in str(error) or "empty" in str(error):
            raise contents.foreign("it is not a tar file") from None
        raise _damaged(file, "it is cut off") from None
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise _damaged(file, str(error)) from None


def _safe(name: str) -> str:
    """Return the name in the data folder that a member's name means."""
    inner = PurePosixPath(name.removeprefix(INSIDE))
    if not name.startswith(INSIDE) or inner.is_absolute() or ".." in inner.parts or not inner.parts:
        raise contents.foreign(f"it holds {name[:80]}")
    return inner.as_posix()


def _copy(content: IO[bytes], name: str, into: Path | None, *, mode: int) -> Entry:
    digest, size = hashlib.sha256(), 0
    with _written(into / name, mode) if into else Path(os.devnull).open("wb") as out:
        while chunk := content.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            out.write(chunk)
    return Entry(name=name, size=size, sha256=digest.hexdigest())


@contextmanager
def _written(path: Path, mode: int) -> Iterator[IO[bytes]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as out:
        os.fchmod(out.fileno(), mode)
        yield out
        out.flush()
        os.fsync(out.fileno())
    sync_folder(path.parent)


def _compare(file: Path, manifest: Manifest, found: dict[str, Entry]) -> None:
    told = {entry.name: entry for entry in manifest.files}
    for name in sorted(told.keys() | found.keys()):
        if name not in found:
            raise _damaged(file, f"{name} is missing")
        if told.get(name) != found[name]:
            raise _damaged(file, f"{name} is not what was backed up")


def _damaged(file: Path, why: str) -> ArtifactError:
    return ArtifactError(
        f"{file} is no whole backup: {why}", hint="copy it again from where it was made, or take another"
    )


def _known(manifest: Manifest, steps: Collection[str]) -> None:
    newer = sorted(set(manifest.steps) - set(steps))
    if newer:
        raise ArtifactError(
            f"this backup is from EdgeWatt {manifest.edgewatt}, which is newer: its database has the step {newer[-1]}",
            code="newer",
            hint=f"restore it with EdgeWatt {manifest.edgewatt} or newer",
        )


def _secrets(manifest: Manifest, data: Path, new: Path) -> str:
    """Take over the secrets that are in `data` when the backup has none; return whose the new folder has."""
    whose = "backup" if manifest.secrets else "folder"
    if whose == "folder" and (data / SECURITY).is_dir():
        shutil.copytree(data / SECURITY, new / SECURITY)
        for path in (data / SECURITY).iterdir():
            give_to_group(new / SECURITY / path.name, group_name(path.stat()))
    if not (new / SECURITY).is_dir():
        return "none"
    (new / SECURITY).chmod(PASSABLE)
    give_to_group(new / SECURITY, group_name(next((new / SECURITY).glob("*.pem"), new).stat()))
    return whose


def _put(new: Path, data: Path, at: float) -> Path | None:
    """Give `new` the name `data`; return where the former content is now."""
    if not data.exists() or not any(data.iterdir()):
        new.rename(data)
        sync_folder(data.parent)
        return None
    before = data.with_name(f"{data.name}.before-{contents.stamp(at)}")
    if before.exists():
        raise ConflictError(f"{before} exists", code="exists", hint="move it away")
    replace_folder(new, data, before)
    return before
