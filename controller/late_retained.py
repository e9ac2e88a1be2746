"""When to subscribe again: nodes of a broker that have just started give newcomers only some of what is retained."""

from dataclasses import dataclass, field

AGAIN_AFTER_S = (10.0, 30.0)
"""All 500 retained messages were there 9 s after two of three NATS nodes had come back."""


@dataclass(slots=True, kw_only=True)
class LateRetained:
    """Counts from each connection; without `after_s` nothing is ever due, which is right for a broker of one node."""

    after_s: tuple[float, ...] = ()
    _due: list[float] = field(default_factory=list)

    def connected(self, at: float) -> None:
        """Begin anew: we are connected since `at`."""
        self._due = [at + wait_s for wait_s in self.after_s]

    def is_due(self, at: float) -> bool:
        """Return, once each time, whether it is time to ask for everything retained again."""
        passed = [due for due in self._due if due <= at]
        self._due = [due for due in self._due if due > at]
        return bool(passed)
