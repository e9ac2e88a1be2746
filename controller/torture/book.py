"""Remembers every command that was given, and what devices answered."""

from dataclasses import dataclass, field

from broker.commands import Ack
from broker.phases import TERMINAL

REST, TYPED = "rest", "typed"
FORGOTTEN_S = 5.0
"""A command that nobody answers no longer keeps its giver from giving the next."""


@dataclass(slots=True, kw_only=True)
class Given:
    """A command that REST or the broker took; a typed one has the `payload` to type again."""

    id: str
    device_id: str
    op: str
    way: str
    at: float
    payload: bytes = b""
    answered: bool = False
    ended: str = ""


@dataclass(slots=True)
class Book:
    """The commands by device and id."""

    given: dict[tuple[str, str], Given] = field(default_factory=dict)
    _moving: dict[tuple[str, str], Given] = field(default_factory=dict)
    _newest: dict[tuple[str, str], Given] = field(default_factory=dict)

    def add(self, given: Given) -> None:
        """Write a command down."""
        key = given.device_id, given.id
        if key not in self.given:
            self.given[key] = self._moving[key] = self._newest[given.device_id, given.op] = given

    def hear(self, device_id: str, ack: Ack) -> None:
        """Take in what a device answers; a refusal to take a payload in (attempt 0) is no answer."""
        given = self.given.get((device_id, ack.id))
        if given is None or ack.attempt == 0:
            return
        given.answered = True
        if ack.state in TERMINAL:
            given.ended = ack.state.value
            self._moving.pop((device_id, ack.id), None)

    def open(self, now: float) -> int:
        """Return how many were given lately and have not ended."""
        self._moving = {key: each for key, each in self._moving.items() if now - each.at < FORGOTTEN_S}
        return len(self._moving)

    def unanswered(self) -> list[Given]:
        """Return what was typed and not answered."""
        return [each for each in self.given.values() if each.way == TYPED and not each.answered]

    def newest(self, device_id: str, op: str) -> Given | None:
        """Return the newest command `op` of a device."""
        return self._newest.get((device_id, op))
