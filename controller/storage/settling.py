"""Lets samples and readings have their places, some devices at a time: each in a minute, and nothing waits for it."""

import asyncio
import logging
from contextlib import suppress

from broker.errors import StorageError
from controller.storage.store import Store

logger = logging.getLogger(__name__)

WALK_S = 60.0
AT_ONCE = 200
"""Devices in one transaction: some 20 ms where each has said something every five seconds."""


async def settle(store: Store, *, hold: bool) -> None:
    """Walk over the devices of `store` until cancelled; with `hold`, places are left to these walks."""
    if hold:
        with store.transaction():
            store.hold()
    try:
        while True:
            await walk(store)
    finally:
        with suppress(StorageError), store.transaction():
            store.readings.keep(store.readings.held())


async def walk(store: Store) -> None:
    """Give each device that waits its turn, all within a minute, and note how far all keys are written.

    That is not noted where one had no turn: after a kill its samples would never be found.
    """
    whole = True
    names = sorted({*store.samples.begin_walk(), *store.readings.held()})
    for first in range(0, len(names), AT_ONCE):
        await asyncio.sleep(WALK_S * min(AT_ONCE, len(names) - first) / len(names))
        turn = names[first : first + AT_ONCE]
        try:
            with store.transaction():
                store.samples.settle(turn)
                store.readings.keep(turn)
        except StorageError as error:
            whole = False
            logger.warning("samples wait for their places, trying again: reason=%s", error.message)
    if whole:
        with suppress(StorageError), store.transaction():
            store.samples.end_walk()
    if not names:
        await asyncio.sleep(WALK_S)
