"""Writes the end of a command as soon as the disk takes it: a full one delays an end and does not lose it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from broker.errors import StorageError

log = logging.getLogger(__name__)


async def insist(end: Callable[[], Awaitable[None]], *, every_s: float) -> None:
    """Do `end` until it raises no StorageError; it goes on from wherever the journal says that it came to."""
    while True:
        try:
            await end()
        except StorageError as full:
            log.warning("cannot write how a command ended: %s", full.message)
            await asyncio.sleep(every_s)
        else:
            return
