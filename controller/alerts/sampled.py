"""What one live sample says of the rules by itself, so that nothing has to be read of its device; pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from broker.messages import Telemetry
from controller.alerts.quantities import QUANTITIES, Reading
from controller.alerts.rule import Rule
from controller.alerts.state import Alert

Heard = tuple[Telemetry, float]
"""A device's newest live sample, or what has the attributes of one, and when it came (Unix s)."""

Judged = list[tuple[Rule, Reading]]


class Limits(NamedTuple):
    """From where to where what is read at `path` in a sample is beyond no threshold."""

    path: tuple[str, ...]
    least: float
    most: float


def told_by_samples(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """Return the rules over what samples tell."""
    return tuple(rule for rule in rules if rule.watched.path)


def limits(rules: Iterable[Rule]) -> tuple[Limits, ...]:
    """Return the thresholds of these rules over what samples tell, one pair for each figure."""
    found: dict[tuple[str, ...], Limits] = {}
    for rule in rules:
        path = rule.watched.path
        _, least, most = found.get(path, Limits(path, -math.inf, math.inf))
        low, high = within(rule)
        found[path] = Limits(path, max(least, low), min(most, high))
    return tuple(found.values())


def within(rule: Rule) -> tuple[float, float]:
    """Return the least and the greatest value that are not beyond the threshold of a rule."""
    limit = rule.threshold
    match rule.comparison:
        case ">":
            return -math.inf, limit
        case ">=":
            return -math.inf, math.nextafter(limit, -math.inf)
        case "<":
            return limit, math.inf
        case _:
            return math.nextafter(limit, math.inf), math.inf


def beyond(limits: Sequence[Limits], samples: Mapping[str, Any]) -> set[str]:
    """Return the devices whose sample, or what has its attributes, has a figure that is not within these limits."""
    found: set[str] = set()
    for path, least, most in limits:
        figures: Iterable[Any] = samples.values()
        for name in path:
            figures = [None if part is None else getattr(part, name, None) for part in figures]
        found.update(
            device_id
            for device_id, figure in zip(samples, figures, strict=True)
            if figure is not None and not least <= figure <= most
        )
    return found


def said_by(heard: Heard, rules: Sequence[Rule], known: Mapping[str, Alert], at: float) -> Judged | None:
    """Return the rules that a sample breaches, and those with an alert, each with its reading at time `at`.

    None where the sample does not do: a rule means some devices only, something else is under way, the sample is old.
    """
    (sample, came_at), found = heard, []
    rest = {name for name, alert in known.items() if alert.wakeful}
    for rule in rules:
        watched = rule.watched
        value = watched.of_sample(sample)
        if value is None or not (rule.name in known or rule.breached(value)):
            continue
        kind = watched.kind_in(sample)
        if rule.kinds and kind not in rule.kinds:
            continue
        if rule.selection is not None or at - came_at > rule.no_data_after_s:
            return None
        rest.discard(rule.name)
        found.append((rule, Reading(value=value, at=came_at, kind=kind)))
    return None if rest else found


def _told() -> type[Any]:
    """Return a type for what rules ask of a sample, which is read in half of the time that the whole takes."""
    parts: dict[str, list[tuple[str, Any, None]]] = {}
    for name, *rest in (each.path for each in QUANTITIES.values() if each.path):
        parts.setdefault(name, []).extend((inner, Any, None) for inner in rest)
    made = [
        (name, msgspec.defstruct(name.title(), inner) | None if inner else Any, None) for name, inner in parts.items()
    ]
    return msgspec.defstruct("Told", made)


Told = _told()
"""A stored sample, as far as rules ask for it."""
