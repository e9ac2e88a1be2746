"""Long answers are made piece by piece, and everybody else has a turn before each: messages, other requests, time."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

Piece = TypeVar("Piece")


async def in_turn(pieces: Iterable[Piece]) -> AsyncIterator[Piece]:
    """Give the pieces one by one; a client that takes all that is sent at once would hold up the loop otherwise."""
    for piece in pieces:
        await asyncio.sleep(0)
        yield piece
