"""What a device does beside running its model, as its messages tell it: inputs it serves, power it saves."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class InputState:
    """What came in over one interval from a folder, a camera or requests.

    `answers` counts the most frequent labels; `refused` inputs could not be read, or did not fit the model. `fault`
    says why nothing comes.
    """

    source: str
    answers: dict[str, int] = field(default_factory=dict)
    other_answers: int | None = None
    refused: int = 0
    fault: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GovernorState:
    """The rung of its ladder on which a device stands to save power; 0 is none of `of`.

    `reason` are the figures that brought it there at `since`, `condition` how long it stays (`battery < 30 %`). `rate`
    is the most inferences per second now and `model` what the rung wants to run instead of the active model; `runs` is
    what really runs, and `fault` says why `model` does not.
    """

    rung: int
    of: int
    since: float
    rate: float
    reason: str | None = None
    condition: str | None = None
    model: str | None = None
    runs: str | None = None
    fault: str | None = None
