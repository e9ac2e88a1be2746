"""How long to wait before trying again."""

import random
from collections.abc import Iterator


def jittered(*, first_s: float, most_s: float, seed: int | None = None) -> Iterator[float]:
    """Yield waits that double from `first_s` to `most_s`, each drawn from its upper half, for ever."""
    draw = random.Random(seed)  # noqa: S311 - spreads a fleet's retries; nothing secret
    wait = first_s
    while True:
        yield wait * draw.uniform(0.5, 1.0)
        wait = min(wait * 2, most_s)


def spread(wait_s: float) -> float:
    """Return a wait of `wait_s` or up to half as much again: a fleet that is sent away together returns one by one."""
    return wait_s * random.uniform(1.0, 1.5)  # noqa: S311 - spreads a fleet's retries; nothing secret
