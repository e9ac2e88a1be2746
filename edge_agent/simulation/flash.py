"""Storage of a simulated device: the real files, except that sometimes nothing can be written, or only slowly."""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from broker.commands import ArtifactRef
from broker.errors import StorageError
from edge_agent.download import Downloader, Progress
from edge_agent.files import storage_error
from edge_agent.modelstore import ModelStore, Slots
from edge_agent.simulation.record import Record

IsFull = Callable[[], bool]


def renaming(full: IsFull) -> Callable[[Path, Path], None]:
    """Return what puts a written file in its place, or raises OSError (ENOSPC) while the flash is `full`."""

    def rename(source: Path, target: Path) -> None:
        if full():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        source.replace(target)

    return rename


class SimulatedStore(ModelStore):
    """A model store that writes nothing while the flash is `full`, and tells `record` what became active."""

    def __init__(self, root: Path, *, full: IsFull, record: Record) -> None:
        """Open `root`."""
        self._full = full
        self._record = record
        super().__init__(root)

    def put(self, slots: Slots) -> None:
        """Make `slots` the truth; raises StorageError."""
        self._require_space(self.root / "slots.json")
        before = self.slots
        super().put(slots)
        if slots.active != before.active:
            self._record.slots(slots)

    def commit(self, ref: ArtifactRef) -> Path:
        """Move a verified part to its place; raises StorageError."""
        self._require_space(self.part(ref.sha256))
        return super().commit(ref)

    def _require_space(self, path: Path) -> None:
        if self._full():
            raise storage_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), path)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowDownloader(Downloader):
    """A downloader onto flash that takes `bytes_per_s`, and nothing while it is `full`."""

    full: IsFull
    bytes_per_s: float | None = None

    def shortage(self, ref: ArtifactRef, part: Path) -> StorageError | None:
        """Return that there is no room while the flash is full."""
        if self.full():
            return StorageError("No space left on the device", hint="the simulated flash is full for a while")
        return Downloader.shortage(self, ref, part)

    def fetch(self, ref: ArtifactRef, part: Path, *, stop: Event, on_progress: Progress, hosts: frozenset[str]) -> None:
        """Grow `part` to its full size; raises what `Downloader.fetch` raises."""
        have = part.stat().st_size if part.exists() else 0

        def written(size: int, total: int) -> None:
            nonlocal have
            if self.bytes_per_s is not None:
                stop.wait((size - have) / self.bytes_per_s)
            have = size
            on_progress(size, total)

        Downloader.fetch(self, ref, part, stop=stop, on_progress=written, hosts=hosts)
