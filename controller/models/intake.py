"""Takes in files that people send: streamed to disk within a limit, read apart, and only then kept."""

import asyncio
import hashlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from broker.errors import ArtifactError, ConflictError, InvalidError, StorageError
from controller.models.apart import analyze_apart
from controller.models.catalog import Catalogue
from controller.models.facts import ModelFacts
from controller.models.manifest import About
from controller.models.model import Model
from controller.models.naming import NAME
from controller.models.recognise import is_safetensors
from controller.models.whole import disk_errors, publish

BLOCK_BYTES = 1 << 20
RESERVE_BYTES = 100_000_000
"""What stays free on the disk: the controller's database is there too."""

IDLE_S = 30.0
READERS = 2
"""Files that are read at the same time; the others wait."""

SUFFIXES = (".onnx", ".tflite", ".safetensors")
UNNAMED = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A file on its way in: its content, the size announced for it, and the name that came with it ("" for none)."""

    chunks: AsyncIterator[bytes]
    announced: int | None = None
    filename: str = ""

    @property
    def name(self) -> str:
        """What a model in that file would be called; InvalidError for a name that leads elsewhere or cannot be one."""
        return model_name(self.filename) if self.filename else ""


@dataclass(slots=True, kw_only=True)
class Intake:
    """The door for files: nothing of one that is refused, broken off or too slow stays in `folder`."""

    catalogue: Catalogue
    folder: Path
    max_bytes: int
    idle_s: float = IDLE_S
    _readers: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(READERS))

    def __post_init__(self) -> None:
        """Remove what an earlier life was receiving when it ended."""
        shutil.rmtree(self._incoming, ignore_errors=True)

    @property
    def _incoming(self) -> Path:
        return self.folder / "incoming"

    async def facts(self, parcel: Parcel) -> ModelFacts:
        """Return the facts of a file, of which nothing is kept; raises as `add` does."""
        async with self.received(parcel) as path, self._readers:
            return await analyze_apart(path)

    async def add(self, parcel: Parcel, *, name: str = "", about: About) -> Model:
        """Take a model in as `name` (default: what it calls itself, or its file's name).

        Raises ArtifactError for a file that is too large (`too_large`), slow or unsound, InvalidError for a name that
        cannot be one, ConflictError for that of a shipped model, StorageError for a disk without room.
        """
        wished = self.free_name(model_name(name)) if name else ""
        async with self.received(parcel) as path:
            async with self._readers:
                facts = await analyze_apart(path)
            name = wished or self.free_name(self._own_name(parcel, facts))
            return await asyncio.to_thread(self.catalogue.add, path, name=name, facts=facts, about=about)

    async def keep_weights(self, parcel: Parcel) -> Path:
        """Keep a safetensors file by its hash and return where; raises ArtifactError for anything else."""
        async with self.received(parcel) as path:
            return await asyncio.to_thread(self._keep, path)

    def free_name(self, name: str) -> str:
        """Return `name`; ConflictError when a shipped model has it."""
        if name in self.catalogue.shipped:
            raise ConflictError(f"{name} is a model that EdgeWatt ships", hint="choose another name")
        return name

    @asynccontextmanager
    async def received(self, parcel: Parcel) -> AsyncIterator[Path]:
        """Give the file that `parcel` became; it is gone afterwards."""
        name = parcel.filename if parcel.name else UNNAMED
        self._require_room(parcel.announced or 0)
        with disk_errors(self._incoming):
            self._incoming.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(dir=self._incoming))
        try:
            path = folder / name
            with disk_errors(self._incoming), path.open("wb") as file:
                await self._write(parcel, file)
            yield path
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _write(self, parcel: Parcel, file: IO[bytes]) -> None:
        """Write block by block, not in the event loop; a disk may take its time."""
        total, block = 0, bytearray()
        chunks = aiter(parcel.chunks)
        while (chunk := await self._next(chunks)) is not None:
            total += len(chunk)
            self._require_small(total)
            block += chunk
            if len(block) >= BLOCK_BYTES:
                self._require_room(0)
                await asyncio.to_thread(file.write, block)
                block = bytearray()
        await asyncio.to_thread(file.write, block)

    async def _next(self, chunks: AsyncIterator[bytes]) -> bytes | None:
        try:
            async with asyncio.timeout(self.idle_s):
                return await anext(chunks, None)
        except TimeoutError:
            raise ArtifactError(
                f"nothing came for {self.idle_s:g} s, so the upload was ended",
                code="upload_stalled",
                hint="send it again",
            ) from None

    def _require_small(self, size: int) -> None:
        if size > self.max_bytes:
            raise ArtifactError(
                f"the file is larger than {self.max_bytes / 1e6:,.0f} MB, which is the limit here",
                code="too_large",
                hint="the controller's setting max_upload_mb raises it",
                max_bytes=self.max_bytes,
            )

    def _require_room(self, announced: int) -> None:
        """Refuse what would fill the disk: a file is there twice until it is in the store."""
        self._require_small(announced)
        place = self.folder if self.folder.exists() else self.folder.parent
        free = shutil.disk_usage(place).free
        if free < RESERVE_BYTES + 2 * announced:
            raise StorageError(
                f"the controller's disk has {free / 1e6:,.0f} MB free, too few for this file",
                hint="free some space, or archive models with `edgewatt models archive`",
            )

    def _own_name(self, parcel: Parcel, facts: ModelFacts) -> str:
        name = facts.metadata.get("edgewatt.model") or parcel.name
        if not name:
            raise InvalidError("the model has no name", hint="give one: ?name=my_net", field="name")
        return model_name(name)

    def _keep(self, path: Path) -> Path:
        with path.open("rb") as file:
            if not is_safetensors(file.read(9)):
                raise ArtifactError(
                    "with an architecture come weights as safetensors, and this file holds something else",
                    hint="safetensors.torch.save_file(model.state_dict(), 'weights.safetensors')",
                )
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        target = self.folder / "weights" / f"{digest}.safetensors"
        with disk_errors(target.parent), path.open("r+b") as file:
            target.parent.mkdir(parents=True, exist_ok=True)
            publish(file, target)
        return target


def model_name(name: str) -> str:
    """Return `name` without the suffix of a file; InvalidError where it cannot be a model's."""
    stem = next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), name)
    if not NAME.fullmatch(stem):
        raise InvalidError(f"{name[:80]!r} cannot be a model's name", hint="letters, digits, . _ -", field="name")
    return stem
