"""Figures that make no sense are refused by name before anything is predicted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import InvalidError
from controller.predict.features import LIMITS, Features, derived

SOUND = {"params_m": 4.2, "gmacs": 0.569, "size_mb": 16.9}


@pytest.mark.parametrize("field", sorted(LIMITS))
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), 1e12, "4", True])
def test_what_is_negative_not_finite_absurd_or_no_number_is_refused_by_name(field, value):
    with pytest.raises(InvalidError) as caught:
        Features(**(SOUND | {field: value}))

    assert caught.value.facts["field"] == field
    assert field in caught.value.message


@pytest.mark.parametrize("field", sorted(SOUND))
def test_what_is_needed_cannot_be_absent(field):
    with pytest.raises(InvalidError, match=field):
        Features(**(SOUND | {field: None}))


@pytest.mark.parametrize(
    ("field", "contradiction"),
    [
        ("size_mb", {"size_mb": 5_000.0}),
        ("size_mb", {"size_mb": 0.01}),
        ("dw_gmacs", {"dw_gmacs": 0.6}),
        ("latency_avg_s", {"latency_avg_s": 50.0, "throughput_iter_per_s": 20.0}),
    ],
)
def test_figures_that_contradict_each_other_are_refused(field, contradiction):
    with pytest.raises(InvalidError) as caught:
        Features(**(SOUND | contradiction))

    assert caught.value.facts["field"] == field


def test_a_tiny_network_in_a_file_that_is_mostly_structure_is_fine():
    assert Features(params_m=0.0012, gmacs=1.2e-6, size_mb=0.012).gflops == 2.4e-6


def test_the_ratios_follow_from_the_figures():
    ratios = derived(Features(**SOUND, latency_avg_s=0.05, throughput_iter_per_s=20))

    assert ratios["gflops_per_param"] == pytest.approx(1.138 / 4.2)
    assert ratios["gmacs_per_mb"] == pytest.approx(0.569 / 16.9)
    assert ratios["model_complexity"] == pytest.approx(4.2 * 1.138)
    assert ratios["computational_density"] == pytest.approx(1.138 / 16.9)
    assert ratios["compute_intensity"] == pytest.approx(1.138 * 0.05)
    assert ratios["latency_throughput_ratio"] == pytest.approx(1.0)


def test_ratios_that_need_a_latency_are_absent_without_one():
    assert "compute_intensity" not in derived(Features(**SOUND))
    assert "latency_throughput_ratio" not in derived(Features(**SOUND, latency_avg_s=0.05))


@given(st.fixed_dictionaries({name: st.floats() | st.integers() | st.none() for name in LIMITS}))
def test_any_figures_are_features_or_refused(figures):
    try:
        Features(**figures)
    except InvalidError as error:
        assert error.facts["field"] in figures
