"""Keeps model files by the SHA-256 of their content: whole or not at all, and found again by model and format."""

import hashlib
import logging
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO

from broker.errors import ArtifactError, NotFoundError, WireError
from broker.wire import decode, encode
from controller.models.manifest import About, Artifact
from controller.models.whole import disk_errors, publish, temporary

logger = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 20
STALE_S = 3_600
"""A temporary file this old belongs to a writer that died."""

DIGEST = re.compile(r"[0-9a-f]{64}")

Signature = tuple[int, int, int]


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
        with disk_errors(root):
            for folder in (self._blobs, self._manifests, self._incoming):
                folder.mkdir(parents=True, exist_ok=True)
            self._drop_stale()

    def add(
        self,
        source: Path | bytes,
        *,
        model: str,
        format: str = "onnx",  # noqa: A002  # the contract's word
        about: About | None = None,
    ) -> Artifact:
        """Keep `source` as an artifact of `model`; the same content again adds the name, and repairs a damaged file.

        `about` None keeps what was said of that content before. Raises ArtifactError when `source` is missing or empty,
        StorageError when the disk is full.
        """
        with disk_errors(self._incoming), temporary(self._incoming) as file:
            digest, size = _copy(source, file)
            if not size:
                raise ArtifactError(f"the {format} file of {model} is empty", hint="export or download it again")
            target = self._blobs / digest
            if not target.exists() or not self.verify(digest):
                publish(file, target)
                self._sound.pop(digest, None)
        known = self._read(digest)
        before = known or Artifact(sha256=digest, size=size, format=format, models=(), created_at=time.time())
        names = tuple(dict.fromkeys((*before.models, model)))
        artifact = replace(before, format=format, models=names, about=about or before.about)
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
            return decode(Artifact, (self._manifests / f"{sha256}.json").read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, WireError) as error:
            logger.warning("manifest %s cannot be read: %s", sha256, error)
            return None

    def _write_manifest(self, artifact: Artifact) -> None:
        with disk_errors(self._manifests), temporary(self._incoming) as file:
            file.write(encode(artifact))
            publish(file, self._manifests / f"{artifact.sha256}.json")

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
