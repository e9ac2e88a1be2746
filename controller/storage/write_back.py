"""Brings what is committed to its place in the database beside the loop, so that no batch waits for the disk."""

import asyncio
import logging

from controller.storage.database import Connection

logger = logging.getLogger(__name__)

EVERY_S = 1.0


async def write_back(connection: Connection) -> None:
    """Do so every second until cancelled; what a full disk does not take is tried again."""
    connection.spread_writes()
    while True:
        await asyncio.sleep(EVERY_S)
        try:
            await asyncio.to_thread(connection.write_back)
        except connection.errors as error:
            logger.warning("the log of the database was not copied, trying again: %s", error)
