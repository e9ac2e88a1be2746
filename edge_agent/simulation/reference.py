"""How long the core that boards are compared with takes for a model."""

S_PER_GMAC = 0.0063 / 0.569
"""MobileNet-v1 1.0 224 (0.569 GMAC) on the reference core that `Board.slowdown` is relative to."""

OVERHEAD_S = 0.000_02
"""What it needs for a call that computes nothing."""


def reference_s(gmacs: float) -> float:
    """Return how long one inference of `gmacs` takes there, without noise."""
    return OVERHEAD_S + gmacs * S_PER_GMAC
