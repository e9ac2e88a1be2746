"""Which of the spooled history is thinned next when there is too much of it."""

from collections.abc import Sequence


def to_thin(levels: Sequence[int]) -> int | None:
    """Return the place of the first of the two neighbours that are too fine for their age; None where no two match.

    `levels` are those of pieces of history of one size, oldest first: of a piece with level n every 2^n-th sample is
    left. Two neighbours of one level become one of the next. As the pair is chosen whose spacing is the smallest
    share of its age, the spacing grows with the age in the end: hours stay whole, days keep a sample in minutes.
    """
    place, finest, age = None, float("inf"), 0
    for index in range(len(levels) - 2, -1, -1):
        age += 1 << levels[index + 1]
        share = (1 << levels[index]) / age
        if levels[index] == levels[index + 1] and share <= finest:
            place, finest = index, share
    return place
