"""Words, marks and markup: units, ages, escaping."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.phases import Phase
from dashboard import markup, words

ANY_NUMBER = st.floats(allow_nan=True, allow_infinity=True)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, "never"), (0.2, "just now"), (59, "59 s ago"), (60, "1 min ago"), (7_300, "2 h ago"), (200_000, "2 d ago")],
)
def test_an_age_has_one_unit(seconds, said):
    assert words.ago(seconds) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "–"),
        (0, "0"),
        (0.01234, "0.0123"),
        (9.999, "10"),
        (24.08, "24.1"),
        (1134.2, "1,134"),
        (float("nan"), "–"),
    ],
)
def test_a_figure_has_about_three_digits(value, said):
    assert words.figure(value) == said


@given(ANY_NUMBER)
def test_no_figure_is_ever_an_exponent(value):
    assert "e" not in words.figure(value)


@pytest.mark.parametrize(
    ("value", "said"), [(None, (None, "")), (1_184, (1.184, "k")), (569e6, (569, "M")), (0.5, (0.5, ""))]
)
def test_a_large_number_takes_a_prefix(value, said):
    assert words.scaled(value) == said


def test_a_missing_amount_has_no_unit():
    assert words.amount(None, "mJ") == "–"


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("ina3221", "measured"),
        ("model", "modelled"),
        ("simulated", "simulated"),
        ("something new", "modelled"),
        (None, None),
    ],
)
def test_only_a_meter_measures(source, kind):
    assert words.kind_of(source) == kind


def test_every_phase_is_explained():
    assert {str(phase) for phase in Phase} == set(words.PHASE_MEANS)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (["a", "b", "c"], "a, b and c"),
        (list("abcde"), "a, b, c and 2 more"),
    ],
)
def test_names_are_listed_as_people_do(names, said):
    assert words.listed(names) == said


@given(st.text(max_size=300))
def test_long_text_is_cut_in_the_middle(text):
    assert len(words.short(text)) <= 48


@given(st.text())
def test_whatever_a_device_says_is_text_and_never_markup(text):
    made = markup.join(
        [
            markup.pill(text, "good", text),
            markup.link(text, "device", id=text),
            markup.note(text, text, hint=text),
            markup.table([text], [[text]]),
            markup.facts([(text, text)]),
        ]
    )

    bare = re.sub(
        r"<(/?)(span|i|a|div|strong|p|table|thead|tbody|tr|th|td|dl|dt|dd)( [a-z-]+=\"[^\"<>]*\")*>", "", made
    )
    assert "<" not in bare
    assert ">" not in bare


@given(ANY_NUMBER, ANY_NUMBER.map(abs))
def test_a_sparkline_takes_any_numbers(first, second):
    finite = [value for value in (first, second, 1.0, 2.0) if value == value and abs(value) < 1e300]  # noqa: PLR0124
    assert "nan" not in markup.spark(finite)


def test_a_gauge_says_its_figures_on_hover():
    assert "11 mJ simulated · predicted 4–6 mJ · budget 8 mJ" in markup.gauge(11, 4, 6, 8, "simulated")


def test_a_gauge_without_a_value_is_nothing():
    assert markup.gauge(None, 1, 2, 3) == ""


def test_a_value_above_the_budget_changes_shape_too():
    assert "dot measured over" in markup.gauge(9, None, None, 8, "measured")


def test_a_command_in_a_sentence_looks_like_one_and_is_still_text():
    assert markup.written("type `a <b>` twice") == "type <code>a &lt;b&gt;</code> twice"
