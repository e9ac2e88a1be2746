"""What the serving thread needs from a source of inputs, and what it tells it back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from broker.energy import Source
from broker.errors import EdgeWattError
from broker.messages import ActiveModel
from edge_agent.runtimes.facts import ModelFacts

STRONGEST = 5
"""How many answers are told of one input."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """One of the strongest answers; a model without labels has only the index."""

    index: int
    confidence: float
    label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What `model` answered to one input, the strongest first; `energy_mj` is that of this inference."""

    model: ActiveModel
    top: tuple[Ranked, ...]
    latency_ms: float
    energy_mj: float | None = None
    energy_source: Source | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One input: `values` prepares it for a model, and exactly one of `answered` and `refused` hears of its end.

    All three are called by the serving thread. `values` raises InvalidError; `answered` and `refused` StorageError.
    """

    name: str
    values: Callable[[ModelFacts], Any]
    answered: Callable[[Outcome], None]
    refused: Callable[[EdgeWattError], None]


class Consumer(Protocol):
    """The serving thread as a source sees it; may be asked from any thread."""

    @property
    def rate(self) -> float:
        """The most inferences per second."""
        ...

    @property
    def idle(self) -> EdgeWattError | None:
        """Why nothing is served now."""
        ...

    def wake(self) -> None:
        """Look for an input now."""
        ...


class Inputs(Protocol):
    """Where inputs come from."""

    @property
    def name(self) -> str:
        """What it is, such as `folder`."""
        ...

    @property
    def poll_s(self) -> float | None:
        """How long the thread waits when there is no input; None until it is woken."""
        ...

    @property
    def fault(self) -> str | None:
        """Why no inputs come, where that is no silence but a failure."""
        ...

    def open(self, consumer: Consumer) -> None:
        """Begin to take inputs in."""
        ...

    def next(self) -> Item | None:
        """Return the next input, if there is one; called by the serving thread alone."""
        ...

    def close(self) -> None:
        """End, and leave no input without its end."""
        ...
