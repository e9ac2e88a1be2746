"""What one live sample says of the rules by itself, and when more has to be looked at."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.messages import Energy, Latency, Telemetry
from broker.topics import TELEMETRY
from controller.alerts.builtin import BUILT_IN
from controller.alerts.quantities import QUANTITIES, Reading
from controller.alerts.rule import COMPARISONS, Rule
from controller.alerts.sampled import Told, beyond, limits, said_by, told_by_samples
from controller.alerts.state import Alert, AlertState

AT = 1_000.0
HOT = Rule(name="hot", quantity="temperature_c", comparison=">=", threshold=80.0)
DEAR = Rule(name="dear", quantity="energy_mj", comparison=">", threshold=50.0, kinds=("measured",))
RULES = (HOT, DEAR)


def sample(source="pmic", energy_mj=5.0, **figures):
    return Telemetry(ts=AT, session="s", seq=1, energy=Energy(source=source, energy_mj=energy_mj), **figures)


def said(told, *known, rules=RULES, came_at=AT):
    return said_by((told, came_at), rules, {alert.rule: alert for alert in known}, AT)


def alert(rule, state=AlertState.FIRING):
    return Alert(rule=rule, subject="pi5-1", since=0.0, state=state)


def test_only_rules_over_what_samples_tell_are_held_against_them():
    names = {rule.name for rule in told_by_samples(tuple(BUILT_IN.values()))}

    assert {"too-hot", "battery-low"} <= names
    assert names.isdisjoint({"offline", "over-budget", "deployment-failed", "broker-lost"})


def test_it_says_what_is_beyond_a_threshold_with_its_kind():
    told = sample(temperature_c=85.0, energy_mj=60.0)

    assert beyond(limits(RULES), {"pi5-1": told, "pi5-2": sample(temperature_c=60.0)}) == {"pi5-1"}
    assert said(told) == [
        (HOT, Reading(value=85.0, at=AT)),
        (DEAR, Reading(value=60.0, at=AT, kind="measured")),
    ]


@given(
    rules=st.lists(st.tuples(st.sampled_from(COMPARISONS), st.sampled_from((-1.0, 0.0, 79.9, 80.0))), max_size=4),
    value=st.sampled_from((None, -1.0, -0.5, 0.0, 1, 79.9, 79.90000000000001, 80.0, 81.0)),
)
def test_limits_are_passed_by_what_is_beyond_one_of_the_thresholds(rules, value):
    made = [
        Rule(name=f"r{index}", quantity="temperature_c", comparison=comparison, threshold=threshold)
        for index, (comparison, threshold) in enumerate(rules)
    ]
    expected = value is not None and any(rule.breached(value) for rule in made)

    assert beyond(limits(made), {"a": sample(temperature_c=value)}) == ({"a"} if expected else set())


def test_of_a_stored_sample_what_rules_ask_for_is_read():
    told = sample(energy_mj=60.0, temperature_c=50.0, latency_ms=Latency(p50=1.0, p95=9.0, max=9.0), throttled=True)
    read = msgspec.json.decode(TELEMETRY.encode(told), type=Told)

    paths = [each for each in QUANTITIES.values() if each.path]
    assert [each.of_sample(read) for each in paths] == [each.of_sample(told) for each in paths]


def test_a_figure_within_its_limits_is_said_where_there_is_an_alert():
    assert said(sample(temperature_c=60.0)) == []
    assert said(sample(temperature_c=60.0), alert("hot")) == [(HOT, Reading(value=60.0, at=AT))]


def test_a_kind_of_energy_that_a_rule_does_not_mean_says_nothing():
    assert said(sample(source="simulated", energy_mj=60.0)) == []
    assert said(sample(source="simulated", energy_mj=60.0), alert("dear")) is None


@pytest.mark.parametrize("state", [AlertState.PENDING, AlertState.FIRING, AlertState.NO_DATA])
def test_more_is_looked_at_while_something_else_is_under_way(state):
    assert said(sample(temperature_c=85.0), alert("offline", state)) is None
    assert said(sample(), alert("hot", state)) is None


def test_what_is_over_needs_no_second_look():
    assert said(sample(temperature_c=85.0), alert("offline", AlertState.RESOLVED)) == [
        (HOT, Reading(value=85.0, at=AT))
    ]


def test_more_is_looked_at_where_a_rule_means_some_devices_or_the_sample_is_old():
    some = replace(HOT, tags=("line=A",))

    assert said(sample(temperature_c=85.0), rules=(some,)) is None
    assert said(sample(temperature_c=60.0), rules=(some,)) == []
    assert said(sample(temperature_c=85.0), came_at=AT - 301.0) is None
