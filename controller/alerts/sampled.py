"""What one live sample says of the rules by itself, so that nothing has to be read of its device; pure."""

from collections.abc import Mapping, Sequence

from broker.messages import Telemetry
from controller.alerts.quantities import Reading
from controller.alerts.rule import Rule
from controller.alerts.state import Alert

Heard = tuple[Telemetry, float]
"""A device's newest live sample, or what has the attributes of one, and when it came (Unix s)."""

Judged = list[tuple[Rule, Reading]]


def told_by_samples(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """Return the rules over what samples tell."""
    return tuple(rule for rule in rules if rule.watched.path)


def beyond(rules: Sequence[Rule], sample: Telemetry) -> bool:
    """Return whether a sample is beyond the threshold of one of these rules."""
    for rule in rules:
        value = rule.watched.of_sample(sample)
        if value is not None and rule.breached(value):
            return True
    return False


def said_by(heard: Heard, rules: Sequence[Rule], known: Mapping[str, Alert], at: float) -> Judged | None:
    """Return the rules that a sample breaches, and those with an alert, each with its reading at time `at`.

    None where the sample does not do: a rule means some devices only, something else is under way, the sample is old.
    """
    (sample, came_at), found = heard, []
    rest = {name for name, alert in known.items() if alert.wakeful}
    for rule in rules:
        value = rule.watched.of_sample(sample)
        if value is None or not (rule.name in known or rule.breached(value)):
            continue
        kind = rule.watched.kind_in(sample)
        if rule.kinds and kind not in rule.kinds:
            continue
        if rule.selection is not None or at - came_at > rule.no_data_after_s:
            return None
        rest.discard(rule.name)
        found.append((rule, Reading(value=value, at=came_at, kind=kind)))
    return None if rest else found
