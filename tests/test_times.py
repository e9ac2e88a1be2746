"""Times as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import InvalidError
from controller.times import moment

NOW = 1_800_000_000.0  # 2027-01-15 08:00 UTC


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", None),
        ("07:30", NOW - 1_800),
        ("7:30:30", NOW - 1_770),
        ("09:00", NOW - 23 * 3_600),
        ("2027-01-15", NOW - 8 * 3_600),
        ("2027-01-15T07:59", NOW - 60),
        ("2027-01-15 07:59Z", NOW - 60),
        ("2027-01-15T08:59+01:00", NOW - 60),
        ("90min", NOW - 5_400),
        ("1.5 h ago", NOW - 5_400),
        ("7d", NOW - 604_800),
        ("1799999999.5", NOW - 0.5),
    ],
)
def test_a_time_is_read_as_it_was_meant(text, at):
    assert moment(text, NOW) == at


@pytest.mark.parametrize("text", ["soon", "25:00", "12:60", "2027-13-01", "99999999999999d1", "-5min", "1e9"])
def test_what_is_no_time_is_refused_with_those_that_are(text):
    with pytest.raises(InvalidError) as refused:
        moment(text, NOW, "since")

    assert "14:02" in refused.value.hint
    assert refused.value.facts == {"field": "since"}


@given(st.text(max_size=20))
def test_any_text_is_a_time_or_refused(text):
    try:
        assert moment(text, NOW) is None or isinstance(moment(text, NOW), float)
    except InvalidError:
        return
