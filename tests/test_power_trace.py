"""A trace gives the energy of a window: exact for what it can know, with what it cannot know stated."""

import itertools
import math
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.power.sampling import Sampling
from edge_agent.power.trace import CounterTrace, PowerTrace


def power_trace(readings, *, interval_s=0.1, step_mw=0.0):
    """Return a trace of (moment, mW) pairs; each reading takes no time."""
    moments = [at for at, _ in readings for _ in range(2)]
    clock, powers = iter(moments), iter([mw for _, mw in readings])
    trace = PowerTrace(read_mw=lambda: next(powers), now=lambda: next(clock), interval_s=interval_s, step_mw=step_mw)
    for _ in readings:
        trace.take()
    return trace


def counter_trace(readings, *, interval_s=0.001, range_uj=None, step_uj=0.0):
    clock, counts = iter([at for at, _ in readings]), iter([uj for _, uj in readings])
    trace = CounterTrace(
        read_uj=lambda: next(counts), now=lambda: next(clock), interval_s=interval_s, range_uj=range_uj, step_uj=step_uj
    )
    for _ in readings:
        trace.take()
    return trace


def test_a_steady_power_times_the_window_is_its_energy():
    drawn = power_trace([(t / 10, 4_000.0) for t in range(31)]).between(0.55, 2.45)

    assert drawn.energy_mj == pytest.approx(4_000 * 1.9)
    assert drawn.power_mw == pytest.approx(4_000)
    assert drawn.readings == 19


def test_a_ramp_is_integrated_by_trapezoids():
    drawn = power_trace([(t / 10, 1_000.0 * t) for t in range(11)]).between(0.0, 1.0)

    assert drawn.energy_mj == pytest.approx(5_000)


def test_what_was_drawn_outside_of_the_window_does_not_count():
    idle, busy = 1_000.0, 5_000.0
    drawn = power_trace([(t / 10, busy if 10 <= t <= 20 else idle) for t in range(31)]).between(1.0, 2.0)

    assert drawn.energy_mj == pytest.approx(busy)


@pytest.mark.parametrize("window", [(5.0, 6.0), (1.01, 1.02), (2.0, 1.0)])
def test_a_window_without_a_reading_has_no_energy(window):
    assert power_trace([(float(t), 1_000.0) for t in range(3)]).between(*window) is None


@given(
    powers=st.lists(st.floats(0, 1e5), min_size=1, max_size=30),
    window_us=st.tuples(st.integers(0, 3_000_000), st.integers(0, 3_000_000)).map(sorted),
)
def test_the_mean_power_lies_between_the_readings(powers, window_us):
    start, end = (us / 1e6 for us in window_us)
    drawn = power_trace([(t / 10, mw) for t, mw in enumerate(powers)]).between(start, end)

    if drawn is not None:
        assert min(powers) - 1e-6 <= drawn.power_mw <= max(powers) + 1e-6
        assert drawn.uncertainty_percent >= 0


def test_a_counter_read_at_both_edges_is_exact():
    drawn = counter_trace([(0.0, 0), (1.0, 2_000_000), (3.0, 8_000_000), (4.0, 8_500_000)]).between(1.0, 3.0)

    assert drawn.energy_mj == pytest.approx(6_000)
    assert drawn.power_mw == pytest.approx(3_000)


def test_a_counter_rises_evenly_between_two_readings():
    assert counter_trace([(0.0, 0), (4.0, 4_000_000)]).between(1.0, 2.0).energy_mj == pytest.approx(1_000)


def test_a_window_that_readings_do_not_enclose_has_no_energy():
    assert counter_trace([(1.0, 0), (4.0, 4_000_000)]).between(0.5, 2.0) is None


@given(st.lists(st.integers(0, 900), min_size=1, max_size=20), st.integers(0, 999))
def test_a_wrapping_counter_loses_nothing(rises, first):
    counts = [total % 1_000 for total in itertools.accumulate(rises, initial=first)]
    drawn = counter_trace([(float(t), uj) for t, uj in enumerate(counts)], range_uj=1_000).between(0.0, len(rises))

    assert drawn.energy_mj * 1_000 == pytest.approx(sum(rises))


def test_a_counter_that_began_anew_gives_nothing():
    assert counter_trace([(0.0, 10), (1.0, 5)]).between(0.0, 1.0) is None


def test_the_uncertainty_is_the_stated_formula():
    """Two standard uncertainties: edges, resolution and spread in quadrature."""
    powers = [5_000.0, 5_100.0] * 10
    drawn = power_trace([(0.05 + t / 10, mw) for t, mw in enumerate(powers)], step_mw=40.0).between(
        0.0, 2.0, rest_mw=2_000.0
    )

    edges = (drawn.power_mw - 2_000) * 0.1 * math.sqrt(2 / 12)
    resolution, spread = 100 * 2 / math.sqrt(12), 50 * 2 / math.sqrt(20)
    expected = 2 * math.hypot(edges, resolution, spread) / drawn.energy_mj * 100
    assert drawn.uncertainty_percent == pytest.approx(expected)


def test_longer_runs_are_less_uncertain():
    trace = power_trace([(t / 10, 3_000.0 + 10 * (t % 3)) for t in range(400)])

    short, long = (trace.between(0.0, seconds).uncertainty_percent for seconds in (1.0, 30.0))
    assert long < short / 5


def test_a_thread_fills_the_trace_and_ends():
    clock, counts, enough = itertools.count(), itertools.count(), Event()

    def read_uj():
        count = next(counts)
        if count == 5:
            enough.set()
        return count

    trace = CounterTrace(read_uj=read_uj, now=lambda: float(next(clock)), interval_s=1)
    with Sampling(trace, 1_000.0) as sampling:
        assert enough.wait(10)
    taken = len(trace._readings)

    assert not sampling._thread.is_alive()
    assert len(trace._readings) == taken >= 5
