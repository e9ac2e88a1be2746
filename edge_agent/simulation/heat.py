"""How warm a board gets, and when it slows down for it; pure."""

import math
from dataclasses import dataclass

from edge_agent.boards import Board

WARMING_S = 120.0
"""Time constant of a small board with a heat sink: it is at 95 % of its end after six minutes; assumed."""

RELIEF_C = 5.0
"""How far it has to cool below its limit before it is fast again; assumed, so that it does not flap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """Temperature of the processor, and whether it is throttled."""

    temp_c: float
    throttled: bool = False


def warmed(before: Heat, board: Board, *, load: float, ambient_c: float, seconds: float) -> Heat:
    """Return the heat after `seconds` at a `load` of 0 to 1; `ambient_c` is how far the air is above its usual."""
    end_c = board.idle_c + (board.busy_c - board.idle_c) * load + ambient_c
    temp_c = end_c + (before.temp_c - end_c) * math.exp(-seconds / WARMING_S)
    limit_c = board.throttle_c - (RELIEF_C if before.throttled else 0.0)
    return Heat(temp_c=temp_c, throttled=temp_c >= limit_c)
