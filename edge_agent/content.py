"""Gets an artifact's verified bytes into the store, once."""

import asyncio
import time
from collections.abc import Callable, Container
from dataclasses import dataclass, field

from broker.commands import ArtifactRef
from broker.commands import Progress as ProgressNews
from broker.errors import ArtifactError, StorageError
from edge_agent.download import Downloader, check_host
from edge_agent.modelstore import ModelStore, verify
from edge_agent.vitals import free_ram_bytes
from edge_agent.work import Work

PROGRESS_EVERY_S = 2.0
"""News of a download at most this often."""

MEMORY_PER_BYTE = 2
"""A runtime holds the weights of a file once in the file's layout and once in its own."""

HOST_PATIENCE_S = 2.0

Tell = Callable[[ProgressNews], None]


@dataclass(slots=True)
class Throttle:
    """Passes progress on, at most once in `every_s`; called in the download's thread, tells in the loop."""

    tell: Tell
    loop: asyncio.AbstractEventLoop
    every_s: float = PROGRESS_EVERY_S
    _last: float = field(default_factory=time.monotonic)

    def __call__(self, have: int, total: int) -> None:
        """Hear that `have` of `total` bytes are here."""
        if time.monotonic() - self._last >= self.every_s:
            self._last = time.monotonic()
            self.loop.call_soon_threadsafe(self.tell, ProgressNews(bytes=have, total=total))


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The way of bytes into the store; `hosts` are those it may come from."""

    store: ModelStore
    downloader: Downloader
    hosts: Callable[[], frozenset[str]]
    progress_every_s: float = PROGRESS_EVERY_S
    free_ram: Callable[[], int] = free_ram_bytes

    def present(self, ref: ArtifactRef) -> bool:
        """Whether nothing has to be downloaded."""
        return self.store.has(ref)

    def check_memory(self, ref: ArtifactRef) -> None:
        """Raise StorageError (`no_memory`) with both figures when it could not be loaded now."""
        needed, free = ref.size * MEMORY_PER_BYTE, self.free_ram()
        if needed > free:
            raise StorageError(
                f"not enough memory to load it: about {needed / 1e6:.0f} MB, {free / 1e6:.0f} MB free",
                code="no_memory",
                hint="deploy a smaller model, or end something else on the device",
            )

    def shortage(self, ref: ArtifactRef, *, spared: Container[str]) -> StorageError | None:
        """Return why the disk has no room for what is missing of `ref`; older models but `spared` went first."""
        part = self.store.part(ref.sha256)
        while (short := self.downloader.shortage(ref, part)) is not None:
            if not self.store.drop_oldest(but=spared):
                return short
        return None

    async def download(self, ref: ArtifactRef, work: Work, tell: Tell) -> None:
        """Grow the part to its full size; raises what `Downloader.fetch` raises."""
        await self._known_host(ref, work)
        news = Throttle(tell, asyncio.get_running_loop(), self.progress_every_s)
        part = self.store.part(ref.sha256)
        await asyncio.to_thread(self.downloader.fetch, ref, part, stop=work.stop, on_progress=news, hosts=self.hosts())

    async def _known_host(self, ref: ArtifactRef, work: Work) -> None:
        """Give the controller's retained word on its host a moment: after a reboot a command may come before it."""
        until = time.monotonic() + HOST_PATIENCE_S
        while time.monotonic() < until:
            try:
                check_host(ref.url, self.hosts())
            except ArtifactError:
                await work.rest(0.1)
            else:
                return

    async def verify(self, ref: ArtifactRef) -> None:
        """Check the bytes and put them in their place; raises ArtifactError, and then keeps none of them."""
        present = self.present(ref)
        path = self.store.path(ref.sha256, ref.format) if present else self.store.part(ref.sha256)
        try:
            await asyncio.to_thread(verify, path, ref)
        except ArtifactError:
            path.unlink(missing_ok=True)
            self.store.drop_part(ref.sha256)
            raise
        if not present:
            self.store.commit(ref)
            self.store.drop_part(ref.sha256)
