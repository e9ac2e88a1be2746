"""Brings an artifact over HTTP into a `.part` file, however often the connection breaks."""

import http.client
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from shutil import disk_usage
from threading import Event
from typing import Literal
from urllib.parse import urlsplit

from broker.commands import ArtifactRef
from broker.errors import ArtifactError, StorageError
from edge_agent.backoff import jittered, spread
from edge_agent.files import WRITTEN, put, storage_error
from edge_agent.http_answer import BusyError, Resume, TryAgainError, ask, opening
from edge_agent.work import StoppedError

CHUNK_BYTES = 262_144
RESERVE_BYTES = 8_000_000
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

Progress = Callable[[int, int], None]


def free_bytes(folder: Path) -> int:
    """Return what the disk under `folder` has left."""
    return disk_usage(folder).free


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to try: one read may stall `timeout_s`, the whole may fail for `give_up_s` without a new byte."""

    timeout_s: float = 20.0
    first_wait_s: float = 1.0
    most_wait_s: float = 300.0
    give_up_s: float = 4 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloader:
    """Fetches artifacts; `reserve_bytes` stay free on the disk, `ca_file` vouches for servers besides the system's."""

    patience: Patience = field(default_factory=Patience)
    ca_file: str = ""
    reserve_bytes: int = RESERVE_BYTES
    free_bytes: Callable[[Path], int] = free_bytes

    def fetch(self, ref: ArtifactRef, part: Path, *, stop: Event, on_progress: Progress, hosts: frozenset[str]) -> None:
        """Grow `part` to `ref.size` bytes.

        Raises StoppedError when `stop` is set, StorageError (`disk_full`), and ArtifactError: `host_not_allowed`,
        `size_mismatch`, `not_served` (the server said no), `download_failed` (patience ran out; worth a retry).
        """
        check_host(ref.url, hosts)
        short = self.shortage(ref, part)
        if short is not None:
            part.unlink(missing_ok=True)
            raise short
        waits, last_news, seen = self._waits(), time.monotonic(), _size(part)
        while _size(part) != ref.size:
            try:
                self._once(ref, part, stop, on_progress, hosts)
                wait = 0.0
            except BusyError as busy:
                last_news, wait = time.monotonic(), spread(busy.wait_s) if busy.wait_s else next(waits)
            except (TryAgainError, http.client.HTTPException, OSError) as error:
                wait = self._after(error, last_news, part)
            if _size(part) > seen:
                waits, last_news, seen = self._waits(), time.monotonic(), _size(part)
            else:
                wait = wait or next(waits)
            if _size(part) != ref.size and stop.wait(wait):
                raise StoppedError

    def shortage(self, ref: ArtifactRef, part: Path) -> StorageError | None:
        """Return why what is missing of `ref` has no room on the disk, with the figures; None when it has."""
        missing, free = ref.size - _size(part), self.free_bytes(part.parent)
        if missing + self.reserve_bytes <= free:
            return None
        return StorageError(
            f"No space left on the device: {missing / 1e6:.1f} MB to download, {free / 1e6:.1f} MB free, "
            f"of which {self.reserve_bytes / 1e6:.0f} MB stay free",
            hint="free some disk or undeploy a model, then deploy again",
        )

    def _waits(self) -> Iterator[float]:
        return jittered(first_s=self.patience.first_wait_s, most_s=self.patience.most_wait_s)

    def _after(self, error: Exception, last_news: float, part: Path) -> float:
        """Return 0 (the usual wait) unless patience ran out."""
        if time.monotonic() - last_news > self.patience.give_up_s:
            tried = f"no new byte for {self.patience.give_up_s:.0f} s, {_size(part)} are here"
            raise ArtifactError(
                f"cannot download: {error} ({tried})", code="download_failed", retryable=True
            ) from error
        return 0.0

    def _once(self, ref: ArtifactRef, part: Path, stop: Event, on_progress: Progress, hosts: frozenset[str]) -> None:
        """Ask once and write what comes; raises TryAgainError, BusyError or OSError when it broke."""
        offset = _size(part)
        if offset > ref.size:
            part.unlink()
            offset = 0
        resume = Resume(offset=offset, tag=_tag(part))
        with opening(
            ref.url,
            resume,
            timeout_s=self.patience.timeout_s,
            allowed=lambda u: check_host(u, hosts),
            ca_file=self.ca_file,
        ) as answer:
            start = ask(answer, resume, ref.size)
            if start is None:
                forget(part)
                raise TryAgainError("the server does not continue this file; beginning anew")
            _remember_tag(part, answer.getheader("ETag"))
            body = _watched(answer, start, ref.size, stop, on_progress)
            _write(part, "ab" if start else "wb", body)


def origin(url: str) -> tuple[str, str]:
    """Return scheme and host of `url`; both are empty for what is no address."""
    try:
        parts = urlsplit(url)
        usable = parts.port != 0
    except ValueError:  # brackets that do not close, or a port beyond 65535
        usable = False
    return (parts.scheme, parts.hostname or "") if usable else ("", "")


def check_host(url: str, hosts: frozenset[str]) -> None:
    """Raise ArtifactError (`host_not_allowed`) unless `url` is HTTP to loopback or one of `hosts`."""
    scheme, host = origin(url)
    if scheme not in ("http", "https") or host not in (LOOPBACK | hosts):
        known = ", ".join(sorted(LOOPBACK | hosts))
        raise ArtifactError(
            f"this device does not download from '{host or url[:80]}'",
            code="host_not_allowed",
            hint=f"allowed: {known}; add it with --allow-host",
        )


def _watched(
    answer: http.client.HTTPResponse, start: int, size: int, stop: Event, on_progress: Progress
) -> Iterator[bytes]:
    have = start
    while chunk := answer.read1(CHUNK_BYTES):
        if stop.is_set():
            raise StoppedError
        have += len(chunk)
        if have > size:
            raise ArtifactError(f"the server sends more than the promised {size} bytes", code="size_mismatch")
        yield chunk
        on_progress(have, size)
    if have < size:
        raise TryAgainError(f"the connection ended after {have} of {size} bytes")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _tag_file(part: Path) -> Path:
    return part.with_name(part.name + ".etag")


def _tag(part: Path) -> str | None:
    path = _tag_file(part)
    return path.read_text() if part.exists() and path.exists() else None


def _remember_tag(part: Path, tag: str | None) -> None:
    if tag and not tag.startswith("W/"):
        _tag_file(part).write_text(tag)


def forget(part: Path) -> None:
    """Remove `part` and what is remembered of its source."""
    part.unlink(missing_ok=True)
    _tag_file(part).unlink(missing_ok=True)


def _write(part: Path, mode: Literal["ab", "wb"], body: Iterator[bytes]) -> None:
    """Write `body` to `part`; raises StorageError, and keeps nothing of a file that the disk cannot hold."""
    try:
        # unbuffered, or the rest of a full disk's buffer raises once more on closing and hides the reason
        file = part.open(mode, buffering=0)
    except OSError as error:
        raise storage_error(error, part) from error
    with file:
        for chunk in body:
            try:
                put(file, chunk)
                WRITTEN.add(len(chunk), at=file.tell() - len(chunk))
            except OSError as error:
                part.unlink(missing_ok=True)
                raise storage_error(error, part) from error
