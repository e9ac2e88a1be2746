"""Cuts the devices of a rollout into waves, as a plan such as `1,10%,50%,100%` says; pure."""

import math
from collections.abc import Mapping, Sequence

from broker.errors import InvalidError

Step = str | tuple[str, ...]
"""How far a wave reaches: `5` or `10%` of all devices, those of the waves before counted in; or its devices by name."""

DEFAULT: tuple[Step, ...] = ("1", "10%", "50%", "100%")
MOST_WAVES = 50
_ALL = 100.0


def parse(text: str) -> tuple[Step, ...]:
    """Return the steps that a person wrote as `1,10%,50%,100%`. Raises InvalidError."""
    steps = tuple(part.strip() for part in text.split(",") if part.strip())
    check(steps)
    return steps


def check(steps: Sequence[Step]) -> None:
    """Raise InvalidError unless every step reaches further than the one before, and the last one all devices."""
    if not steps:
        raise _bad("a rollout needs a wave")
    if len(steps) > MOST_WAVES:
        raise _bad(f"{len(steps)} waves are more than {MOST_WAVES}")
    reached = {True: 0.0, False: 0.0}  # percentages and numbers, each by itself
    for step in steps:
        if not isinstance(step, str):
            if not step:
                raise _bad("a wave by name needs a device")
            continue
        size, percent = _size(step)
        if size <= reached[percent]:
            raise _bad(f"the wave {step[:20]!r} reaches no further than the one before")
        reached[percent] = size
    if any(isinstance(step, str) for step in steps) and steps[-1] != "100%":
        raise _bad("the last wave has to be 100%, so that the rollout has an end")


def cut(steps: Sequence[Step], device_ids: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Return the devices of each wave, in the order of `device_ids`; a step that adds nobody makes no wave.

    Raises InvalidError for a step that makes no sense, and for a plan by name that forgets a device.
    """
    check(steps)
    left = dict.fromkeys(device_ids)
    waves = []
    for step in steps:
        wave = _named(step, left) if not isinstance(step, str) else _first(step, left, len(device_ids))
        for device_id in wave:
            del left[device_id]
        if wave:
            waves.append(wave)
    if left:
        raise _bad(f"no wave has {', '.join(list(left)[:3])}")
    return tuple(waves)


def names(steps: Sequence[Step]) -> list[str]:
    """Return every device that a plan names."""
    return [name for step in steps if not isinstance(step, str) for name in step]


def _first(step: str, left: Mapping[str, None], total: int) -> tuple[str, ...]:
    size, percent = _size(step)
    reach = math.ceil(total * size / _ALL) if percent else int(size)
    return tuple(left)[: max(0, reach - (total - len(left)))]


def _named(step: Sequence[str], left: Mapping[str, None]) -> tuple[str, ...]:
    """Return the devices of a wave by name that are to get anything at all, each once."""
    return tuple(name for name in dict.fromkeys(step) if name in left)


def _size(step: str) -> tuple[float, bool]:
    """Return a step's number, and whether it is a percentage."""
    number, percent = step.removesuffix("%").strip(), step.endswith("%")
    try:
        size = float(number) if percent else int(number)
    except ValueError:
        raise _bad(f"{step[:20]!r} is no wave") from None
    if not 0 < size <= (_ALL if percent else math.inf):
        raise _bad(f"{step[:20]!r} is no wave")
    return size, percent


def _bad(why: str) -> InvalidError:
    return InvalidError(why, code="bad_plan", hint="write 1,10%,50%,100%, or lists of devices", field="waves")
