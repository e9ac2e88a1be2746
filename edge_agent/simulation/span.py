"""A stretch of the run in which something is wrong; pure."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From `at_s` of the run, for `for_s`."""

    at_s: float
    for_s: float

    @property
    def until_s(self) -> float:
        """When it is over."""
        return self.at_s + self.for_s


def within(spans: Iterable[Span], run_s: float) -> bool:
    """Return whether `run_s` lies in one of `spans`."""
    return any(span.at_s <= run_s < span.until_s for span in spans)
