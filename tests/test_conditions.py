"""What a deployment may wait for and keep: refused with the field's name where it could never be met."""

from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.commands import Budget, Command, Conditions
from broker.conditions import check_deploy, in_words, window_of
from broker.errors import InvalidError

CLOCKS = st.times().map(lambda clock: clock.replace(second=0, microsecond=0))


@given(CLOCKS, CLOCKS)
def test_a_window_is_read_as_it_was_written(begin, end):
    text = f"{begin:%H:%M}-{end:%H:%M}"
    if begin == end:
        with pytest.raises(InvalidError):
            window_of(text)
    else:
        assert window_of(text) == (begin, end)


@given(st.text())
def test_any_other_text_is_no_window_and_nothing_worse(text):
    try:
        begin, end = window_of(text)
    except InvalidError as refused:
        assert (refused.code, refused.facts["field"]) == ("bad_window", "when.window")
    else:
        assert begin != end


def test_a_day_ends_at_24():
    assert window_of("22:00-24:00") == (time(22), time.max)


@pytest.mark.parametrize("text", ["05:00+02:00-06:00", "25:00-26:00", "5:00-6:00", "0500-0600", "", "night"])
def test_what_is_no_window_is_refused(text):
    with pytest.raises(InvalidError, match="is no window"):
        window_of(text)


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"when": Conditions(soc_min_pct=101)}, "when.soc_min_pct"),
        ({"when": Conditions(soc_min_pct=-1)}, "when.soc_min_pct"),
        ({"when": Conditions(temp_max_c=900)}, "when.temp_max_c"),
        ({"when": Conditions(temp_max_c=float("nan"))}, "when.temp_max_c"),
        ({"when": Conditions(window="always")}, "when.window"),
        ({"soak_s": -1.0}, "soak_s"),
        ({"soak_s": 86_400.0}, "soak_s"),
        ({"max_latency_ms": 0.0}, "max_latency_ms"),
        ({"budget": Budget(latency_ms=1e9)}, "max_latency_ms"),
        ({"budget": Budget(latency_ms=float("nan"))}, "max_latency_ms"),
    ],
)
def test_what_no_device_could_keep_is_refused_by_name(terms, field):
    with pytest.raises(InvalidError) as refused:
        check_deploy(Command(op="deploy", **terms))

    assert refused.value.facts["field"] == field


def test_sound_terms_pass():
    when = Conditions(soc_min_pct=40, charging=True, temp_max_c=70, window="22:00-05:00")

    check_deploy(Command(op="deploy", when=when, soak_s=60, budget=Budget(latency_ms=30)))


def test_the_budget_of_a_command_beats_what_was_typed_beside_it():
    assert Command(op="deploy", max_latency_ms=9.0).budget_ms == 9.0
    assert Command(op="deploy", max_latency_ms=9.0, budget=Budget(latency_ms=5.0)).budget_ms == 5.0


def test_a_journal_of_before_latency_budgets_still_knows_its_commands():
    plain = Command(op="deploy", model="m", max_energy_mj=4.0)

    assert plain.fingerprint == "4a5982705bffd415"
    assert Command(op="deploy", model="m", max_energy_mj=4.0, max_latency_ms=5.0).fingerprint != plain.fingerprint


def test_conditions_are_read_as_words():
    when = {"soc_min_pct": 40.0, "charging": False, "temp_max_c": 70.5, "window": "22:00-05:00"}

    said = "battery at 40 % or more, it does not charge, at most 70.5 °C, between 22:00 and 05:00, its own time"
    assert in_words(when) == said
    assert in_words({}) == in_words({"charging": None}) == ""
