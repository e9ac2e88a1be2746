"""Keeps model files by the SHA-256 of their content: whole or not at all, and found again by model and format."""

import hashlib
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO

from broker.errors import ArtifactError, NotFoundError, StorageError, WireError
from broker.signing import Signer
from broker.wire import decode, encode
from controller.models.manifest import About, Artifact, signed_part
from controller.models.versions import meant
from controller.models.whole import disk_errors, publish, temporary

logger = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 20
STALE_S = 3_600
"""A temporary file this old belongs to a writer that died."""

NOTED_EVERY_S = 60.0
"""How exactly it is noted when a file was last deployed: a rollout tells hundreds of devices in a minute."""

DIGEST = re.compile(r"[0-9a-f]{64}")

State = tuple[int, int, int]
"""What of a file changes when its content does: inode, size, time of the last change in ns."""


class ArtifactStore:
    """A folder `sha256/<h>` of contents and `manifests/<h>.json` of what they are; several processes may share it.

    Files appear by rename after fsync, so a reader never sees part of one. `adds` counts what this process added;
    `make_room` is asked for so many bytes, at a time, when the disk is full.
    """

    def __init__(self, root: Path, *, signer: Signer | None = None) -> None:
        """Open the store at `root`, made when missing; `signer` signs what is added.

        Raises StorageError where it cannot be written.
        """
        self.adds = 0
        self.signer = signer
        self.make_room: Callable[[int, float], None] | None = None
        self._blobs = root / "sha256"
        self._manifests = root / "manifests"
        self._incoming = root / "incoming"
        self._sound: dict[str, State] = {}
        self._read_before: dict[str, tuple[State, Artifact]] = {}
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
        try:
            artifact = self._add(source, model, format, about)
        except StorageError as full:
            if full.code != "disk_full" or self.make_room is None:
                raise
            self.make_room(len(source) if isinstance(source, bytes) else source.stat().st_size, time.time())
            artifact = self._add(source, model, format, about)
        self.adds += 1
        return artifact

    def _add(self, source: Path | bytes, model: str, form: str, about: About | None) -> Artifact:
        with disk_errors(self._incoming), temporary(self._incoming) as file:
            digest, size = _copy(source, file)
            if not size:
                raise ArtifactError(f"the {form} file of {model} is empty", hint="export or download it again")
            target = self._blobs / digest
            if not target.exists() or not self.verify(digest):
                publish(file, target)
                self._sound.pop(digest, None)
        known = self._read(digest)
        before = known or Artifact(sha256=digest, size=size, format=form, models=(), created_at=time.time())
        artifact = replace(
            before,
            format=form,
            created_at=time.time() if before.evicted_at else before.created_at,
            models=tuple(dict.fromkeys((*before.models, model))),
            about=about or before.about,
            archived=tuple(name for name in before.archived if name != model),
            evicted_at=None,
        )
        if self.signer is not None:
            signature = self.signer.sign(signed_part(artifact, model))
            artifact = replace(artifact, signatures={**artifact.signatures, model: signature})
        if artifact != known:
            self._write_manifest(artifact)
        return artifact

    def path(self, sha256: str) -> Path:
        """Return the file of `sha256`; NotFoundError when there is none, ArtifactError when it is damaged."""
        self.open(sha256).close()
        return self._blobs / sha256

    def open(self, sha256: str) -> IO[bytes]:
        """Return the open file of `sha256`, verified as it lies open; raises as `path` does.

        Whoever holds it can read it to its end, also after the store has removed it.
        """
        if not DIGEST.fullmatch(sha256):
            raise _missing(sha256)
        try:
            file = (self._blobs / sha256).open("rb")
        except FileNotFoundError:
            raise _missing(sha256) from None
        if not self._has_content(file, sha256):
            file.close()
            raise ArtifactError(f"artifact {sha256} is damaged on disk", hint="add or download the model again")
        return file

    def manifest(self, sha256: str) -> Artifact:
        """Return what is known of `sha256`; NotFoundError when nothing is."""
        artifact = self._read(sha256) if DIGEST.fullmatch(sha256) else None
        if artifact is None:
            raise _missing(sha256)
        return artifact

    def holds(self, sha256: str) -> bool:
        """Return whether there is a file of `sha256`, whatever is in it."""
        return (self._blobs / sha256).is_file()

    def verify(self, sha256: str) -> bool:
        """Return whether the file of `sha256` is there and has that content; reads all of it."""
        try:
            with (self._blobs / sha256).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == sha256
        except OSError:
            return False

    def find(self, model: str, formats: Sequence[str] = ("onnx",)) -> Artifact | None:
        """Return the newest sound artifact that `model` means, the earlier of `formats` first, or None."""
        for wanted in formats:
            offered = [a for a in meant(model, self.all()) if a.format == wanted]
            for artifact in reversed(offered):
                if self.is_sound(artifact.sha256):
                    return artifact
                logger.warning("artifact %s of %s is damaged and not offered", artifact.sha256, model)
        return None

    def all(self) -> list[Artifact]:
        """Return every artifact that has bytes, oldest first; an unreadable manifest is left out and logged."""
        return [artifact for artifact in self._every() if artifact.evicted_at is None]

    def deployed(self, sha256: str, at: float) -> None:
        """Note to the minute that a device was told to fetch `sha256`; a full disk is logged and matters no more."""
        try:
            before = self.manifest(sha256)
            if before.deployed_at is None or not 0 <= at - before.deployed_at < NOTED_EVERY_S:
                self._write_manifest(replace(before, deployed_at=at))
        except StorageError as error:
            logger.warning("when %s was deployed is not noted: %s", sha256, error)

    def archive(self, sha256: str, model: str, *, undo: bool = False) -> None:
        """Put `model` away as far as `sha256` goes, or bring it back; raises NotFoundError."""
        before = self.manifest(sha256)
        others = tuple(name for name in before.archived if name != model)
        self._write_manifest(replace(before, archived=others if undo else (*others, model)))

    def promote(self, sha256: str, model: str, at: float | None) -> None:
        """Let the version of `sha256` be what `model` means from `at` on; no more for None. Raises NotFoundError."""
        before = self.manifest(sha256)
        others = {name: since for name, since in before.promoted.items() if name != model}
        self._write_manifest(replace(before, promoted=others if at is None else others | {model: at}))

    def evict(self, sha256: str, at: float) -> Artifact:
        """Remove the bytes of `sha256` and keep its manifest; who reads them already reads them to their end."""
        artifact = replace(self.manifest(sha256), evicted_at=at)
        (self._blobs / sha256).unlink(missing_ok=True)
        self._sound.pop(sha256, None)
        self._write_manifest(artifact)
        return artifact

    def evicted(self) -> list[Artifact]:
        """Return the artifacts of which only the manifest is left, oldest first."""
        return [artifact for artifact in self._every() if artifact.evicted_at is not None]

    def is_sound(self, sha256: str) -> bool:
        """Return whether the file of `sha256` has that content; verified once for each state of the file."""
        try:
            if not self.is_verified(sha256):
                self.open(sha256).close()
        except (OSError, ArtifactError, NotFoundError):
            return False
        return True

    def is_verified(self, sha256: str) -> bool:
        """Return whether the file of `sha256` was verified as it is now, so that to open it takes no time."""
        try:
            return self._sound.get(sha256) == _state((self._blobs / sha256).stat())
        except FileNotFoundError:
            return False

    def _has_content(self, file: IO[bytes], sha256: str) -> bool:
        state = _state(os.fstat(file.fileno()))
        if self._sound.get(sha256) != state:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:  # type: ignore[arg-type]  # any binary file
                return False
            file.seek(0)
            self._sound[sha256] = state
        return True

    def _every(self) -> list[Artifact]:
        known = (self._read(path.stem) for path in self._manifests.glob("*.json"))
        return sorted((a for a in known if a), key=lambda a: (a.created_at, a.sha256))

    def _read(self, sha256: str) -> Artifact | None:
        """Read a manifest once for each state of its file: the catalogue asks for all of them all the time."""
        path = self._manifests / f"{sha256}.json"
        try:
            state = _state(path.stat())
            known = self._read_before.get(sha256)
            if known is None or known[0] != state:
                known = self._read_before[sha256] = state, decode(Artifact, path.read_bytes())
            return known[1]
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


def _state(stat: os.stat_result) -> State:
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _missing(sha256: str) -> NotFoundError:
    return NotFoundError(f"no artifact {sha256[:64]!r}", hint="edgewatt models list shows what there is")


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
