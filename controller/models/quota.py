"""Chooses what leaves the artifact store when it is above its quota."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """An artifact's bytes, when they were last of use (Unix seconds), and whether they may go."""

    sha256: str
    size: int
    used_at: float
    spare: bool


def evictions(holdings: Iterable[Holding], most_bytes: int) -> tuple[Holding, ...]:
    """Return what has to go until `most_bytes` are not exceeded: spare ones only, those longest out of use first."""
    known = list(holdings)
    excess = sum(holding.size for holding in known) - most_bytes
    gone: list[Holding] = []
    for holding in sorted((h for h in known if h.spare), key=lambda h: (h.used_at, h.sha256)):
        if excess <= 0:
            break
        gone.append(holding)
        excess -= holding.size
    return tuple(gone)


def total_bytes(holdings: Sequence[Holding]) -> int:
    """Return how many bytes `holdings` take."""
    return sum(holding.size for holding in holdings)
