"""Keeps model files by the SHA-256 of their content: whole or not at all, and found again by model and format."""

import errno
import hashlib
import json
import logging
import os
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO

from broker.errors import ArtifactError, NotFoundError, StorageError

logger = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 20
STALE_S = 3_600
"""A temporary file this old belongs to a writer that died."""

DIGEST = re.compile(r"[0-9a-f]{64}")

Signature = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One file of the store: its content's SHA-256, size in bytes, format and the models it is known as."""

    sha256: str
    size: int
    format: str
    models: tuple[str, ...]
    created_at: float


class ArtifactStore:
    """A folder `sha256/<h>` of contents and `manifests/<h>.json` of what they are; several processes may share it.

    Files appear by rename after fsync, so a reader never sees part of one.
    """

    def __init__(self, root: Path) -> None:
        """Open the store at `root`, made when missing; raises StorageError where it cannot be written."""
        self._blobs = root / "sha256"
        self._manifests = root / "manifests"
        self._incoming = root / "incoming"
        self._sound: dict[str, Signature] = {}
        with _disk_errors(root):
            for folder in (self._blobs, self._manifests, self._incoming):
                folder.mkdir(parents=True, exist_ok=True)
            self._drop_stale()

    def add(self, source: Path | bytes, *, model: str, format: str = "onnx") -> Artifact:  # noqa: A002  # the contract's word
        """Keep `source` as an artifact of `model`; the same content again adds the name, and repairs a damaged file.

        Raises ArtifactError when `source` is missing or empty, StorageError when the disk is full.
        """
        with _disk_errors(self._incoming), self._temporary() as file:
            digest, size = _copy(source, file)
            if not size:
                raise ArtifactError(f"the {format} file of {model} is empty", hint="export or download it again")
            target = self._blobs / digest
            if not target.exists() or not self.verify(digest):
                _publish(file, target)
                self._sound.pop(digest, None)
        known = self._read(digest)
        names = dict.fromkeys((*(known.models if known else ()), model))
        artifact = Artifact(
            sha256=digest,
            size=size,
            format=format,
            models=tuple(names),
            created_at=known.created_at if known else time.time(),
        )
        if artifact != known:
            self._write_manifest(artifact)
        return artifact

    def path(self, sha256: str) -> Path:
        """Return the file of `sha256`; NotFoundError when there is none, ArtifactError when it is damaged."""
        path = self._blobs / sha256
        if not DIGEST.fullmatch(sha256) or not path.is_file():
            raise NotFoundError(f"no artifact {sha256[:64]!r}", hint="edgewatt models list shows what there is")
        if not self._is_sound(sha256):
            raise ArtifactError(f"artifact {sha256} is damaged on disk", hint="add or download the model again")
        return path

    def manifest(self, sha256: str) -> Artifact:
        """Return what is known of `sha256`; NotFoundError when nothing is."""
        artifact = self._read(sha256) if DIGEST.fullmatch(sha256) else None
        if artifact is None:
            raise NotFoundError(f"no artifact {sha256[:64]!r}", hint="edgewatt models list shows what there is")
        return artifact

    def verify(self, sha256: str) -> bool:
        """Return whether the file of `sha256` is there and has that content; reads all of it."""
        try:
            with (self._blobs / sha256).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == sha256
        except OSError:
            return False

    def find(self, model: str, formats: Sequence[str] = ("onnx",)) -> Artifact | None:
        """Return the newest sound artifact of `model`, the earlier of `formats` first, or None."""
        for wanted in formats:
            offered = [a for a in self.all() if a.format == wanted and model in a.models]
            for artifact in sorted(offered, key=lambda a: a.created_at, reverse=True):
                if self._is_sound(artifact.sha256):
                    return artifact
                logger.warning("artifact %s of %s is damaged and not offered", artifact.sha256, model)
        return None

    def all(self) -> list[Artifact]:
        """Return every artifact that has a manifest, oldest first; an unreadable manifest is left out and logged."""
        known = (self._read(path.stem) for path in self._manifests.glob("*.json"))
        return sorted((a for a in known if a), key=lambda a: (a.created_at, a.sha256))

    def _is_sound(self, sha256: str) -> bool:
        """Verify once for each state of the file: hashing it for every question would be the whole cost."""
        try:
            stat = (self._blobs / sha256).stat()
        except OSError:
            return False
        signature = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        if self._sound.get(sha256) != signature:
            if not self.verify(sha256):
                return False
            self._sound[sha256] = signature
        return True

    def _read(self, sha256: str) -> Artifact | None:
        try:
            document = json.loads((self._manifests / f"{sha256}.json").read_text("utf-8"))
            return replace(Artifact(**document), models=tuple(document["models"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            logger.warning("manifest %s cannot be read: %s", sha256, error)
            return None

    def _write_manifest(self, artifact: Artifact) -> None:
        with _disk_errors(self._manifests), self._temporary() as file:
            file.write(json.dumps(asdict(artifact), indent=1).encode())
            _publish(file, self._manifests / f"{artifact.sha256}.json")

    @contextmanager
    def _temporary(self) -> Iterator[IO[bytes]]:
        """Give a file beside the store that is gone afterwards unless it was published."""
        with tempfile.NamedTemporaryFile(dir=self._incoming, delete=False) as file:
            try:
                yield file
            finally:
                Path(file.name).unlink(missing_ok=True)

    def _drop_stale(self) -> None:
        for path in self._incoming.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > STALE_S:
                    path.unlink()


def _copy(source: Path | bytes, file: IO[bytes]) -> tuple[str, int]:
    digest = hashlib.sha256()
    for chunk in _chunks(source):
        digest.update(chunk)
        file.write(chunk)
    return digest.hexdigest(), file.tell()


def _chunks(source: Path | bytes) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    try:
        opened = source.open("rb")
    except OSError as error:
        raise ArtifactError(f"cannot read {source}: {error.strerror}", hint="check the path") from None
    with opened:
        while chunk := opened.read(CHUNK_BYTES):
            yield chunk


def _publish(file: IO[bytes], target: Path) -> None:
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
def _disk_errors(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = "the disk is full" if error.errno == errno.ENOSPC else (error.strerror or str(error))
        raise StorageError(
            f"cannot write to {place}: {what}", hint="free some space or choose another --data folder"
        ) from None
