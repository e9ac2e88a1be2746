"""Lets everybody do so much a minute: token buckets in bounded memory; pure but for what it remembers."""

import ipaddress
import math
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from broker.errors import AccessError

What = Literal["writes", "predictions", "failed_sign_ins"]

MOST_KNOWN = 10_000
"""Of so many at most it is remembered how much they did; who was quiet longest is forgotten, and may do all again."""

TINY = 1e-6
"""What sums of fractions may be off."""

SAYS: dict[What, str] = {
    "writes": "writes",
    "predictions": "predictions",
    "failed_sign_ins": "failed sign-ins",
}


@dataclass(slots=True, kw_only=True)
class Allowance:
    """How much each may do: `per_min` at once, and as much again within a minute. Nothing is kept on disk."""

    per_min: Mapping[What, int]
    refused: Counter[What] = field(default_factory=Counter)
    _left: OrderedDict[tuple[What, str], tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, what: What, whose: str, at: float) -> None:
        """Count one more. Raises AccessError (`too_many_requests`) with `retry_after_s` when it is too much."""
        most = self.per_min[what]
        key = (what, whose)
        left, before = self._left.pop(key, (float(most), at))
        left = min(float(most), left + max(0.0, at - before) * most / 60)
        enough = left >= 1 - TINY
        self._left[key] = (left - 1 if enough else left, at)
        if len(self._left) > MOST_KNOWN:
            self._left.popitem(last=False)
        if not enough:
            self.refused[what] += 1
            raise _too_much(what, most, math.ceil((1 - left) * 60 / most - TINY))


def place(address: str) -> str:
    """Return whose an address is: itself, or for IPv6 the network of one home, which has more than anybody counts."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((known, 64), strict=False)) if known.version == 6 else address  # noqa: PLR2004 - IPv6


def _too_much(what: What, most: int, wait_s: int) -> AccessError:
    hint = f"wait {wait_s} s; the setting max_{what}_per_min of the controller says how many"
    said = f"more than {most} {SAYS[what]} a minute"
    return AccessError(said, code="too_many_requests", hint=hint, retry_after_s=wait_s)
