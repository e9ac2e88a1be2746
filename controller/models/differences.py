"""Why our count of multiply-adds differs from the published one: tried explanations, the first that fits is named."""

from dataclasses import dataclass

LIMIT = 0.05
"""A published figure that is off by more than this share of ours needs a reason."""

ROUNDING = 0.005
"""Published figures have two decimals, in 10^9."""

AGREES = 0.02
"""An explanation counts when the figure it leads to is off by no more than this, rounding aside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a count may leave out or take in, in 10^9: attention inside `gmacs`, operations of norms beside it."""

    gmacs: float
    attention: float
    norms: float


def note(parts: Parts, published: float | None) -> str:
    """Return why `published` differs from `parts.gmacs`; empty where nothing is published or it hardly differs."""
    if published is None or abs(published - parts.gmacs) <= LIMIT * published:
        return ""
    reasons = (reason for reason, figure in _explanations(parts) if _agrees(figure, published))
    return f"published {published:g}: {next(reasons, 'no reason found')}"


def _explanations(parts: Parts) -> list[tuple[str, float]]:
    """Return what somebody may have done, plainest first, and the figure that comes of it."""
    return [
        ("rounded to two decimals", parts.gmacs),
        ("norms counted as multiply-adds", parts.gmacs + parts.norms),
        ("attention products not counted", parts.gmacs - parts.attention),
        ("norms counted, attention products not", parts.gmacs + parts.norms - parts.attention),
    ]


def _agrees(figure: float, published: float) -> bool:
    return abs(published - figure) <= max(ROUNDING, AGREES * figure)
