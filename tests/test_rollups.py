"""Telemetry by minute and hour: the same figures as from the samples, whatever comes late, twice or in between."""

import math
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.messages import Energy, Telemetry
from controller.storage.store import Store
from controller.storage.summed import SAID_BEFORE_S
from controller.telemetry import history
from controller.telemetry.rollups import BEHIND_S, DAY_S, HOUR_S, LAG_S, Rollups

T0 = 1_800_000_000.0 - 1_800_000_000.0 % DAY_S


@pytest.fixture
def store(store):
    store.add_device("pi5-1", T0, approved=True)
    return store


def sample(seq, at_s, energy_mj=None, source="simulated", **told):
    energy = None if energy_mj is None else Energy(source=source, energy_mj=energy_mj)
    return Telemetry(ts=T0 + at_s, session="s1", seq=seq, energy=energy, inferences=3, **told)


def add(store, samples, received_at=None):
    with store.transaction():
        history.add_samples(store, [("pi5-1", each, received_at or each.ts) for each in samples])


def roll(store, at, **given):
    """Let ticks pass until nothing is left to sum up at T0 + `at`."""
    rollups = Rollups(store=store, **given)
    while True:
        with store.transaction():
            if not rollups.tick(T0 + at):
                return


def read(store, *, since=0.0, until, points):
    return history.read_buckets(store, "pi5-1", since=T0 + since, until=T0 + until, points=points)


def expected(samples, size):
    """What the buckets hold, counted one by one."""
    found = defaultdict(list)
    for each in samples:
        found[(math.floor((each.ts - T0) / size), each.energy.source if each.energy else "")].append(each)
    return [
        (at * size, source or None, len(all_of_them), [each.energy.energy_mj for each in all_of_them if each.energy])
        for (at, source), all_of_them in sorted(found.items())
    ]


def said(buckets):
    return [(each["ts"] - T0, each["energy_source"], each["samples"], each["energy_mj"]) for each in buckets]


SAMPLES = st.lists(
    st.tuples(
        st.integers(0, int(6 * HOUR_S)),
        st.one_of(st.none(), st.tuples(st.sampled_from(["simulated", "ina3221"]), st.floats(1, 1_000))),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(
    rounds=st.lists(
        st.tuples(SAMPLES, st.sampled_from([60.0, 400.0, 1_700.0, HOUR_S, 2 * DAY_S])), min_size=1, max_size=4
    ),
    first=st.sampled_from([LAG_S, HOUR_S / 2, 7 * HOUR_S]),
    hours=st.booleans(),
)
def test_buckets_are_the_same_whatever_was_summed_up_when(rounds, first, hours):
    store = Store(None)
    store.add_device("pi5-1", T0, approved=True)
    samples, now = [], first
    for number, (made, then_s) in enumerate(rounds):
        batch = [
            sample(1_000 * number + i, at_s, *((energy[1], energy[0]) if energy else ()))
            for i, (at_s, energy) in enumerate(made)
        ]
        add(store, batch, received_at=T0 + now)
        samples += batch
        roll(store, now)
        now += then_s
    until = max(now, 7 * HOUR_S)
    size, buckets = read(store, until=until, points=int(until // (HOUR_S if hours else 60)))

    assert size % (HOUR_S if hours else 60) == 0
    assert [each[:3] for each in said(buckets)] == [each[:3] for each in expected(samples, size)]
    for (*_, told), (*_, energies) in zip(said(buckets), expected(samples, size), strict=True):
        if energies:
            assert told["min"] == pytest.approx(min(energies), abs=1e-3)
            assert told["max"] == pytest.approx(max(energies), abs=1e-3)
            assert told["mean"] == pytest.approx(sum(energies) / len(energies), abs=1e-3)
        else:
            assert told is None
    store.close()


def test_a_spike_of_one_second_survives_thirty_days(store):
    add(store, [sample(n, n * 600, temperature_c=95.0 if n == 2_000 else 50.0) for n in range(30 * 144)])
    roll(store, 30 * DAY_S, raw_days=31)
    size, buckets = read(store, until=30 * DAY_S, points=300)

    assert size == 3 * HOUR_S
    assert max(each["temperature_c"]["max"] for each in buckets) == 95.0
    assert sum(each["samples"] for each in buckets) == 30 * 144


def test_the_share_of_samples_that_charged_is_of_those_that_told_in_seconds_minutes_and_hours(store):
    told = [None, False, True, True]
    add(store, [sample(n, n * 15, charging=told[n % 4]) for n in range(480)])
    fresh = read(store, until=50, points=50)[1] + read(store, until=2 * HOUR_S, points=120)[1][:2]
    roll(store, DAY_S)
    [first, *_, last] = read(store, until=DAY_S, points=24)[1]

    assert [each["charging_share"] for each in fresh] == [None, 0.0, 1.0, 1.0, 0.6667, 0.6667]
    assert [first["charging_share"], last["charging_share"]] == [0.6667, 0.6667]
    assert read(store, until=2 * HOUR_S, points=120)[1][0]["charging_share"] == 0.6667
    assert (
        store.query("SELECT count(*) AS n FROM telemetry_hours WHERE charging_n = 180 AND charging_sum = 120")[0]["n"]
        == 2
    )


def test_the_hour_in_which_a_device_fell_silent_is_summed_up_when_it_is_over(store):
    add(store, [sample(n, n * 10, 5.0) for n in range(500)])
    for minute in range(0, 150, 5):
        roll(store, 60 * minute)

    hours = store.query("SELECT ts, samples FROM telemetry_hours ORDER BY ts")
    assert [(row["ts"] - T0, row["samples"]) for row in hours] == [(0.0, 360), (HOUR_S, 140)]


def test_an_hour_of_which_minutes_are_gone_stays_whole_when_one_of_it_comes_late(store):
    add(store, [sample(n, n * 60, 5.0) for n in range(60)])
    roll(store, DAY_S)
    store.connection.execute("DELETE FROM telemetry_minutes WHERE ts < ?", [T0 + 600])
    add(store, [sample(999, 1_830, 900.0)], received_at=T0 + DAY_S)
    roll(store, DAY_S)

    assert store.query("SELECT samples FROM telemetry_hours") == [{"samples": 60}]


def test_a_spool_that_comes_a_day_late_is_counted_in_its_own_hours(store):
    add(store, [sample(n, n * 60) for n in range(60)])
    roll(store, DAY_S)
    add(store, [sample(100 + n, 2 * HOUR_S + n * 60) for n in range(60)], received_at=T0 + DAY_S)
    before = said(read(store, until=DAY_S, points=24)[1])
    roll(store, DAY_S + HOUR_S)

    assert [(at, count) for at, _, count, _ in before] == [(0.0, 60), (2 * HOUR_S, 60)]
    assert said(read(store, until=DAY_S, points=24)[1]) == before


def test_a_step_that_breaks_off_is_undone_and_made_again(store):
    add(store, [sample(n, n * 60, 5.0) for n in range(120)])
    rollups = Rollups(store=store)
    with pytest.raises(ZeroDivisionError), store.transaction():
        rollups.tick(T0 + 3 * HOUR_S)
        raise ZeroDivisionError

    assert store.query("SELECT count(*) AS n FROM telemetry_minutes")[0]["n"] == 0
    assert [count for _, _, count, _ in said(read(store, until=3 * HOUR_S, points=3)[1])] == [60, 60]

    roll(store, 3 * HOUR_S)

    assert store.query("SELECT count(*) AS n FROM telemetry_minutes")[0]["n"] == 120
    assert [count for _, _, count, _ in said(read(store, until=3 * HOUR_S, points=3)[1])] == [60, 60]


def test_samples_that_are_gone_stay_in_their_hours_when_one_of_that_time_comes_late(store):
    add(store, [sample(n, n * 60, 5.0) for n in range(120)])
    roll(store, DAY_S)
    store.connection.execute("DELETE FROM telemetry")
    add(store, [sample(999, 30 * 60, 900.0)], received_at=T0 + 40 * DAY_S)
    roll(store, 40 * DAY_S, raw_days=30)

    assert [count for _, _, count, _ in said(read(store, until=2 * DAY_S, points=48)[1])] == [60, 60]


def test_the_newest_minutes_are_read_from_the_samples(store):
    add(store, [sample(n, n * 10) for n in range(600)])
    roll(store, 6_000)
    [row] = store.query("SELECT until FROM rolled")

    assert row["until"] <= T0 + 6_000 - LAG_S
    assert sum(each["samples"] for each in read(store, until=6_000, points=100)[1]) == 600


def test_what_was_sampled_right_before_its_device_registered_in_a_new_hour_is_summed_up(store):
    store.add_device("pi5-2", T0 + 1, approved=True)
    with store.transaction():
        history.add_samples(store, [("pi5-2", Telemetry(ts=T0 - 5, session="s", seq=1), T0 + 1)])
    roll(store, 2 * HOUR_S)

    assert store.query("SELECT ts, samples FROM telemetry_hours") == [{"ts": T0 - HOUR_S, "samples": 1}]


def test_a_tick_takes_longer_where_sums_are_far_behind(store, monkeypatch):
    monkeypatch.setattr("controller.telemetry.rollups.BUDGET_S", 0.0)
    for name in ("pi5-2", "pi5-3"):
        store.add_device(name, T0, approved=True)
    rollups = Rollups(store=store)

    far_behind_at = T0 - SAID_BEFORE_S + LAG_S + BEHIND_S
    assert rollups.tick(far_behind_at) == 1
    assert rollups.tick(far_behind_at + 60.0) == 2


def test_a_tick_is_bounded_and_the_device_that_waits_longest_comes_first(store, monkeypatch):
    for budget in ("BUDGET_S", "BEHIND_BUDGET_S"):
        monkeypatch.setattr(f"controller.telemetry.rollups.{budget}", 0.0)
    store.add_device("pi5-2", T0 - DAY_S, approved=True)
    rollups = Rollups(store=store)

    assert rollups.tick(T0 + HOUR_S) == 1
    assert {row["device_id"]: row["until"] - T0 for row in store.query("SELECT * FROM rolled")} == {
        "pi5-1": -SAID_BEFORE_S,
        "pi5-2": HOUR_S - LAG_S,
    }
