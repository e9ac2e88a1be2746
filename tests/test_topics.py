"""Topics: the table, its two inverse functions, and the access rules made from it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.acl import mosquitto_acl
from broker.errors import WireError
from broker.topics import (
    CONTROLLER_STATUS,
    ROUTES,
    TELEMETRY,
    agent_filters,
    checked_id,
    controller_filters,
    parse,
    talker,
)

device_ids = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True)


@given(device_ids, st.sampled_from(ROUTES))
def test_parse_is_the_inverse_of_topic(device_id, route):
    assert parse(route.topic(device_id)) == (device_id, route)


@given(st.text())
def test_any_text_is_a_topic_of_ours_or_refused_with_a_reason(text):
    try:
        device_id, route = parse(text)
    except WireError as error:
        assert error.code in ("bad_topic", "bad_id")
        assert error.hint
    else:
        assert route.topic(device_id) == text


@pytest.mark.parametrize("device_id", ["", "Pi5", "-pi", "a/b", "a+", "#", "a" * 65, "pi 5", "pi\n"])
def test_an_id_outside_the_pattern_is_refused(device_id):
    with pytest.raises(WireError) as refused:
        checked_id(device_id)

    assert refused.value.code == "bad_id"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.suffix)
def test_who_talks_is_read_from_a_topic_of_telemetry_alone(route):
    assert talker(route.topic("pi5-1")) == ("pi5-1" if route is TELEMETRY else None)


def test_four_topics_are_retained_per_device():
    assert {route.suffix for route in ROUTES if route.retain} == {"status", "info", "state", "desired"}


def test_an_agent_hears_only_its_own_topics_and_the_controllers_presence():
    assert set(agent_filters("pi5-1")) == {
        "device/pi5-1/status",
        "device/pi5-1/desired",
        "device/pi5-1/cmd",
        CONTROLLER_STATUS,
    }


def test_the_controller_hears_every_device_and_other_peoples_commands():
    assert set(controller_filters()) == {
        *(f"device/+/{suffix}" for suffix in ("status", "info", "state", "cmd", "ack", "telemetry", "log")),
        CONTROLLER_STATUS,
    }


def test_the_access_rules_let_a_device_write_only_what_the_table_gives_it():
    rules = mosquitto_acl().splitlines()

    patterns = {rule for rule in rules if rule.startswith("pattern")}
    assert patterns == {
        "pattern readwrite device/%u/status",
        *(f"pattern write device/%u/{suffix}" for suffix in ("info", "state", "ack", "telemetry", "log")),
        *(f"pattern read device/%u/{suffix}" for suffix in ("desired", "cmd")),
        "pattern read fleet/controller/status",
    }
    operator = rules[rules.index("user operator") :]
    assert "topic write device/+/cmd" in operator
    assert not any(rule.startswith("topic write") and "cmd" not in rule for rule in operator)
