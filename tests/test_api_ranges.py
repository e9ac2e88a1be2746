"""Range headers are read as RFC 9110 says, and what nobody can answer is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import InvalidError
from controller.api.ranges import Span, continues, is_known, wanted_span

TAG = '"abc"'


@pytest.mark.parametrize(
    ("header", "span"),
    [
        (None, None),
        ("bytes=0-", Span(0, 100)),
        ("bytes=10-19", Span(10, 20)),
        ("Bytes = 10-19 ", Span(10, 20)),
        ("bytes=90-1000", Span(90, 100)),
        ("bytes=-10", Span(90, 100)),
        ("bytes=-1000", Span(0, 100)),
        ("bytes=0-9,10-19", Span(0, 20)),
        ("bytes=10-19, 0-14,", Span(0, 20)),
        ("bytes=0-9,100-", Span(0, 10)),
        ("bytes=0-9,50-59", None),
        ("lines=1-2", None),
    ],
)
def test_a_range_is_one_piece_or_the_whole_file(header, span):
    assert wanted_span(header, 100) == span


@pytest.mark.parametrize(
    "header",
    [
        "bytes=100-",
        "bytes=-0",
        "bytes=",
        "bytes",
        "bytes=-",
        "bytes=9-5",
        "bytes=a-b",
        "bytes=1",
        f"bytes={'9' * 5000}-",
    ],
)
def test_a_range_outside_the_file_or_malformed_is_refused_with_its_length(header):
    with pytest.raises(InvalidError, match="100 bytes"):
        wanted_span(header, 100)


@given(header=st.text(max_size=40) | st.from_regex(r"bytes=[0-9, -]{0,30}"), size=st.integers(1, 10**12))
def test_whatever_is_asked_for_lies_in_the_file(header, size):
    try:
        span = wanted_span(header, size)
    except InvalidError:
        return
    assert span is None or 0 <= span.start < span.end <= size


def test_a_range_continues_only_the_very_same_file():
    assert continues(None, TAG)
    assert continues(TAG, TAG)
    assert not any(continues(other, TAG) for other in ('"abd"', 'W/"abc"', "Wed, 25 Nov 2026 04:00:00 GMT"))


def test_a_client_that_has_the_file_is_known_by_any_of_its_tags():
    assert all(is_known(header, TAG) for header in (TAG, 'W/"abc"', f'"x", {TAG}', "*"))
    assert not any(is_known(header, TAG) for header in (None, '"x"', "abc", ""))
