"""The plan is the best there is: checked against every assignment; infeasible ones say by how much."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.errors import InvalidError
from controller.predict.planner import Choice, Place, plan

WH_PER_DAY = 86_400 / 3.6e6
"""One mJ per second for a day."""


def choice(name, top1_pct, energy_mj):
    return Choice(model=name, top1_pct=top1_pct, energy_mj=energy_mj)


SMALL, LARGE = choice("small", 60.0, 10.0), choice("large", 80.0, 100.0)


def place(name, *choices, rate_hz=1.0):
    return Place(device_id=name, rate_hz=rate_hz, choices=choices)


def models(found):
    return {a.device_id: a.model for a in found.assigned}


def test_energy_for_all_gives_everyone_the_most_accurate():
    found = plan([place("a", SMALL, LARGE), place("b", SMALL, LARGE)], energy_wh_per_day=200 * WH_PER_DAY)

    assert models(found) == {"a": "large", "b": "large"}
    assert found.mean_top1_pct == pytest.approx(80)
    assert found.wh_per_day == pytest.approx(200 * WH_PER_DAY)


def test_energy_for_one_goes_where_it_gains_most():
    better = choice("better", 90.0, 100.0)
    found = plan([place("a", SMALL, LARGE), place("b", SMALL, better)], energy_wh_per_day=110 * WH_PER_DAY)

    assert models(found) == {"a": "small", "b": "better"}
    assert found.optimal


def test_among_equally_accurate_ones_the_cheapest_is_taken():
    found = plan([place("a", LARGE, choice("lean", 80.0, 50.0))], energy_wh_per_day=1_000)

    assert models(found) == {"a": "lean"}


def test_a_device_that_infers_more_often_costs_more():
    found = plan([place("a", SMALL, LARGE, rate_hz=10.0)], energy_wh_per_day=200 * WH_PER_DAY)

    assert models(found) == {"a": "small"}


def test_what_cannot_be_is_told_with_what_is_missing():
    found = plan([place("a", SMALL), place("b", SMALL, LARGE)], energy_wh_per_day=15 * WH_PER_DAY)

    assert not found.feasible
    assert found.assigned == ()
    assert found.least_wh_per_day == pytest.approx(20 * WH_PER_DAY)
    assert found.short_wh_per_day == pytest.approx(5 * WH_PER_DAY)


def test_a_thousand_alike_devices_are_counted_not_named():
    found = plan([place(f"d{i:04}", SMALL, LARGE) for i in range(1_000)], energy_wh_per_day=19_000 * WH_PER_DAY)

    assert len(found.assigned) == 1_000
    assert sum(a.model == "large" for a in found.assigned) == 100
    assert found.optimal


@pytest.mark.parametrize("energy", [0, -1, float("nan"), float("inf")])
def test_an_energy_that_is_none_is_refused(energy):
    with pytest.raises(InvalidError):
        plan([place("a", SMALL)], energy_wh_per_day=energy)


def test_nobody_to_plan_for_and_nothing_to_choose_are_refused():
    with pytest.raises(InvalidError):
        plan([], energy_wh_per_day=1)
    with pytest.raises(InvalidError):
        plan([place("a")], energy_wh_per_day=1)


CHOICES = st.lists(st.tuples(st.integers(1, 99), st.integers(1, 50)), min_size=1, max_size=3)


@settings(max_examples=40, deadline=None)
@given(st.lists(CHOICES, min_size=1, max_size=4), st.integers(1, 150))
def test_no_assignment_within_the_energy_is_better(fleet, energy):
    places = [
        place(f"d{i}", *(choice(f"m{j}", float(top1), float(mj)) for j, (top1, mj) in enumerate(choices)))
        for i, choices in enumerate(fleet)
    ]
    ways = [[sum(one[k] for one in way) for k in (0, 1)] for way in product(*fleet)]
    within = [top1 for top1, mj in ways if mj <= energy]

    found = plan(places, energy_wh_per_day=(energy + 1e-3) * WH_PER_DAY)

    assert found.feasible == bool(within)
    if within:
        assert found.mean_top1_pct * len(fleet) == pytest.approx(max(within))
        assert found.wh_per_day <= (energy + 1e-2) * WH_PER_DAY
