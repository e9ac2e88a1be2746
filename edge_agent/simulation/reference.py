"""How long the core that boards are compared with takes for a model."""

OVERHEAD_S = 0.000_38
"""What it needs whatever is computed: some 30 layers at 12 to 13 µs each; assumed."""

S_PER_GMAC = (0.0063 - OVERHEAD_S) / 0.569
"""The rest of MobileNet-v1 1.0 224 (0.569 GMAC, 6.3 ms) on the reference core that `Board.slowdown` is relative to."""


def reference_s(gmacs: float) -> float:
    """Return how long one inference of `gmacs` takes there, without noise."""
    return OVERHEAD_S + gmacs * S_PER_GMAC
