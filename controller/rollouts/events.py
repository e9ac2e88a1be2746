"""What can happen to a rollout, and what has to be done then; pure."""

from dataclasses import dataclass

from controller.rollouts.standing import Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Time passed; `window_open` says whether devices may begin now."""

    window_open: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """`number` devices came to stand somewhere else, perhaps in another wave; `why` one of them went wrong."""

    wave: int
    before: Standing
    after: Standing
    to_wave: int | None = None
    number: int = 1
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A device entered a wave that is still to come, or is at work."""

    wave: int
    number: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A device was told to begin; it has to fetch so much."""

    download_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """Every device of a soaking wave was looked at, after its soak was over."""

    wave: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseAsked:
    """A person wants no further device to begin."""

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeAsked:
    """A person wants it to go on, in spite of what went wrong so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AbortAsked:
    """A person wants it to end; `roll_back` takes the model from those that have it."""

    reason: str = ""
    roll_back: bool = False


Event = Tick | Changed | Joined | Started | Watched | PauseAsked | ResumeAsked | AbortAsked


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """A wave begins: who is away there gives its turn to one of a later wave that is not."""

    wave: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A wave's soak is over: look at all its devices, then say `Watched`."""

    wave: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw:
    """End what is under way, and let nobody begin any more; `awaited` says that its end still matters."""

    reason: str
    awaited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RollBack:
    """Take the model from every device that got it."""


Effect = Open | Watch | Withdraw | RollBack
