"""What a board draws, and how long a model takes on it; pure."""

from edge_agent.boards import Board
from edge_agent.runtimes.facts import ModelFacts
from edge_agent.simulation.board import THROTTLED_POWER, THROTTLED_SLOWDOWN
from edge_agent.simulation.reference import reference_s

IDLE_PART = 0.45
"""Power of a board at rest over its busy power; assumed, from 2.7 of 6 W of a Raspberry Pi 4."""

GMAC_PER_MB = 0.034
"""The same network's, for a model that does not tell its own: 0.569 GMAC over 17 MB of fp32 weights."""


def latency_s(facts: ModelFacts, size_bytes: int, board: Board, *, throttled: bool) -> float:
    """Return how long one inference takes there, without noise."""
    gmacs = facts.gmacs if facts.gmacs is not None else size_bytes / 1e6 * GMAC_PER_MB
    usual_s = reference_s(gmacs) * board.slowdown
    return usual_s * (THROTTLED_SLOWDOWN if throttled else 1.0)


def busy_mw(board: Board, *, throttled: bool) -> float:
    """Return what the board draws while it infers, without noise."""
    return board.busy_mw * (THROTTLED_POWER if throttled else 1.0)


def mean_mw(board: Board, *, load: float, throttled: bool) -> float:
    """Return what it draws on average while it infers a part `load` (0 to 1) of the time."""
    idle = board.busy_mw * IDLE_PART
    return idle + (busy_mw(board, throttled=throttled) - idle) * load
