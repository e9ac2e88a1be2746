"""Reads an input that is given as numbers."""

import math
from typing import Any

from broker.errors import InvalidError


def flat(value: Any) -> list[float]:
    """Return the numbers in nested lists, in order; raises InvalidError (`bad_input`)."""
    found: list[float] = []
    rest = [value]
    while rest:
        item = rest.pop()
        if isinstance(item, list):
            rest.extend(reversed(item))
        elif isinstance(item, (int, float)) and not isinstance(item, bool) and math.isfinite(item):
            found.append(float(item))
        else:
            raise InvalidError("input must be a list of numbers", code="bad_input")
    return found
