"""Looks at what stands between this device and its fleet: its data folder, its clock, the broker."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from broker.errors import ConflictError
from broker.link import Connected, Disconnected
from broker.paho import PahoLink
from edge_agent.alone import alone_in
from edge_agent.download import RESERVE_BYTES, free_bytes
from edge_agent.history import CLOCKS_BEGIN
from edge_agent.settings import Settings

ANSWER_S = 15.0
"""How long a broker may take until it lets us in, or says why not."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One line of what `check` says; `fine` is False for what keeps the device from working."""

    word: str
    text: str
    fine: bool = True

    def __str__(self) -> str:
        """Return the line."""
        return f"{self.word if self.fine else f'no {self.word}':<14}{self.text}"


def look(settings: Settings, *, now: float, free: Callable[[Path], int] = free_bytes) -> tuple[Seen, ...]:
    """Return what there is to say. Raises EdgeWattError for settings that make no sense."""
    where, clock = data(settings.data, free), clock_at(now)
    return (where, *([] if clock.fine else [clock]), asyncio.run(broker(settings)))


def data(folder: Path, free: Callable[[Path], int]) -> Seen:
    """Say whether an agent could keep its journal and a model in `folder`."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        return Seen("data", f"{folder} cannot be a folder: {there} is a file; name another one with --data", fine=False)
    if not os.access(there, os.W_OK | os.X_OK):
        said = f"{folder} cannot be written by this user: mend its owner, or name another folder with --data"
        return Seen("data", said, fine=False)
    left = free(there)
    if left <= RESERVE_BYTES:
        return Seen("data", f"{folder} has {left / 1e6:.1f} MB free, too few for a model: free some disk", fine=False)
    return Seen("data", f"{folder}, {left / 1e6:.0f} MB free")


def clock_at(now: float) -> Seen:
    """Say whether `now`, as the clock has it, can be."""
    if now >= CLOCKS_BEGIN:
        return Seen("clock", "set")
    said = f"it says {datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M}: let the network set it (timedatectl)"
    return Seen("clock", f"{said}; until then no certificate is valid and times are wrong", fine=False)


async def broker(settings: Settings) -> Seen:
    """Connect as the agent does, and say how that ended; not where it would end the connection of one that runs."""
    who, url = settings.credentials, settings.broker
    if who.username and _runs(settings.data):
        return Seen("broker", f"{url}, not asked: an agent runs on this folder, and its connection would end")
    # A user has one session, whatever its client id; without users ours must not be taken for the agent's.
    client_id = settings.id if who.username else f"{settings.id}-check"
    async with PahoLink(url, client_id, credentials=who, lasting=bool(who.username)) as link:
        try:
            async with asyncio.timeout(ANSWER_S):
                said = await _first(link)
        except TimeoutError:
            return Seen("broker", f"{url} does not answer in {ANSWER_S:g} s: is a firewall between?", fine=False)
    return Seen("broker", f"{url}, lets us in") if said is None else Seen("broker", said, fine=False)


async def _first(link: PahoLink) -> str | None:
    """Return why the first attempt failed; None when we are in."""
    async for event in link.events():
        if isinstance(event, Connected):
            return None
        if isinstance(event, Disconnected):
            return event.reason
    return None


def _runs(folder: Path) -> bool:
    if not (folder / "lock").exists():
        return False
    try:
        with alone_in(folder):
            return False
    except ConflictError:
        return True
