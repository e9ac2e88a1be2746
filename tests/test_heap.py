"""Samples are appended first and get their keys later: each is found once, whatever is undone, killed or said twice."""

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from controller.storage import runs
from controller.storage.heap import Heap
from controller.storage.runs import Run
from controller.storage.store import Store

COLUMNS = ("device_id", "ts", "session", "seq", "received_at", "energy_mj")
DEVICES, SESSIONS = ("jetson-1", "pi5-1", "pi5-2"), ("s1", "s2")

sample = st.tuples(st.sampled_from(DEVICES), st.sampled_from(SESSIONS), st.integers(1, 6))
batch = st.lists(sample, min_size=1, max_size=8)
passes = st.sampled_from((150.0, 350.0, 1_000.0))


class UndoneError(Exception):
    """Why a transaction is rolled back."""


class Appended(RuleBasedStateMachine):
    """A file's table of samples beside a dict of what was committed first under each name.

    What was `gone` for its age may be refused, or stored once more: both are right.
    """

    store: Store

    @initialize(held=st.booleans())
    def begin(self, held):
        for table in ("telemetry", "telemetry_runs", "telemetry_times"):
            self.store.connection.execute(f"DELETE FROM {table}")
        self.store.connection.execute("UPDATE telemetry_written SET up_to = 0")
        self.known, self.said, self.held, self.walking = {}, 0, held, False
        self.gone, self.some_are_left = set(), False
        self.start()

    def start(self):
        self.store.samples = Heap(self.store.connection)
        if self.held:
            self.store.samples.hold()

    def add(self, samples):
        """Say samples, each with an energy that nothing else has; return what would be known if it were committed."""
        rows, told = [], {}
        for device_id, session, seq in samples:
            self.said += 1
            rows.append((device_id, 100.0 * seq, session, seq, 20.0 * self.said, float(self.said)))
            told.setdefault((device_id, session, seq), float(self.said))
        self.store.samples.add(COLUMNS, rows)
        return told

    def learn(self, told):
        self.known = told | self.known

    @rule(samples=batch)
    def comes(self, samples):
        with self.store.transaction():
            told = self.add(samples)
        self.learn(told)

    @rule(samples=batch, asked=st.sets(st.sampled_from(DEVICES)))
    def comes_and_is_undone(self, samples, asked):
        with suppress(UndoneError), self.store.transaction():
            self.add(samples)
            self.store.settle(*asked)
            raise UndoneError

    @rule(samples=batch, more=batch, asked=st.sets(st.sampled_from(DEVICES)))
    def comes_and_a_part_is_undone(self, samples, more, asked):
        with self.store.transaction():
            told = self.add(samples)
            with suppress(UndoneError), self.store.savepoint():
                self.store.settle(*asked)
                self.add(more)
                raise UndoneError
        self.learn(told)

    @rule(asked=st.sets(st.sampled_from(DEVICES)))
    def is_asked_for(self, asked):
        self.store.settle(*asked)

    @rule()
    def a_walk_begins(self):
        self.store.samples.begin_walk()
        self.walking = True

    @rule()
    def a_walk_ends(self):
        if self.walking:
            self.store.settle(*DEVICES)
            with self.store.transaction():
                self.store.samples.end_walk()
            self.walking = False

    @rule(before=passes)
    def the_oldest_go(self, before):
        self.store.settle(*DEVICES)
        with self.store.transaction():
            old = self.hide(before)
        self.gone |= old
        with self.store.transaction():
            self.sweep()

    @rule(before=passes)
    def the_oldest_are_found_no_more_and_stay_for_now(self, before):
        self.store.settle(*DEVICES)
        with self.store.transaction():
            self.gone |= self.hide(before)
        self.some_are_left = True

    @rule(before=passes)
    def the_oldest_go_and_some_of_that_is_undone(self, before):
        self.the_oldest_are_found_no_more_and_stay_for_now(before)
        with suppress(UndoneError), self.store.transaction():
            self.sweep()
            self.hide(1_000.0)
            raise UndoneError
        with self.store.transaction():
            self.sweep()

    def hide(self, before):
        """Remove the keys of what was taken before a time; return what that is."""
        old = {name for name in self.stored() if 100.0 * name[2] < before}
        self.store.samples.begin_removal(before)
        assert sum(self.store.samples.remove(device_id, 100) for device_id in DEVICES) == len(old)
        return old

    def sweep(self):
        while not self.store.samples.end_removal(3):
            pass

    @rule(held=st.booleans())
    def the_process_is_killed(self, held):
        self.held, self.walking = held, False
        self.start()

    def stored(self):
        """Return the energy of each sample that is found, by its name."""
        rows = self.store.query("SELECT device_id, session, seq, energy_mj FROM samples")
        found = {(row["device_id"], row["session"], row["seq"]): row["energy_mj"] for row in rows}
        assert len(found) == len(rows)
        return found

    @invariant()
    def nothing_is_there_that_was_not_committed(self):
        if hasattr(self, "known"):
            found = self.stored()
            assert found.keys() <= self.known.keys()
            assert all(found[name] == self.known[name] for name in found.keys() - self.gone)

    def teardown(self):
        if hasattr(self, "known"):
            self.start()
            self.store.settle(*DEVICES)
            assert self.stored().keys() | self.gone == self.known.keys()
            self.every_sample_has_its_keys()
            self.the_oldest_go(1_000.0)
            assert self.counts() == {"rows": 0, "times": 0}, "a pass removes what an earlier one left"

    def counts(self):
        [counts] = self.store.query(
            "SELECT (SELECT count(*) FROM telemetry) AS rows, (SELECT count(*) FROM telemetry_times) AS times"
        )
        return counts

    def every_sample_has_its_keys(self):
        counts = self.counts()
        assert counts["times"] == len(self.stored()), "no key points to what is gone"
        assert counts["rows"] == counts["times"] or (self.some_are_left and counts["rows"] > counts["times"])
        rows = self.store.query("SELECT * FROM telemetry_runs ORDER BY device_id, session, low")
        for row, following in pairwise(rows):
            same = (row["device_id"], row["session"]) == (following["device_id"], following["session"])
            assert not same or row["high"] + 1 < following["low"]
        numbers = {
            (row["device_id"], row["session"], seq) for row in rows for seq in range(row["low"], row["high"] + 1)
        }
        assert self.stored().keys() <= numbers <= self.known.keys()
        assert all(row["until"] == 100.0 * row["high"] for row in rows)


@pytest.fixture(scope="module")
def memory():
    store = Store(None)
    yield store
    store.close()


def test_every_sample_is_found_once_whatever_is_undone_killed_or_said_twice(memory):
    machine = type("Machine", (Appended,), {"store": memory})
    run_state_machine_as_test(machine, settings=settings(max_examples=60, stateful_step_count=20, deadline=None))


numbers = st.lists(st.integers(1, 30), max_size=20)


@given(before=numbers, added=numbers)
def test_runs_hold_the_numbers_that_were_added_and_between_any_two_one_is_missing(memory, before, added):
    session = ("pi5-1", "s1")
    memory.connection.execute("DELETE FROM telemetry_runs")

    for come in (before, added):
        touched = runs.touched(memory.connection, session, min(come, default=1), max(come, default=1))
        runs.add(memory.connection, session, touched, (Run(each, each, float(each)) for each in come))

    found = runs.touched(memory.connection, session, 0, 30)
    assert [each for run in found for each in range(run.low, run.high + 1)] == sorted({*before, *added})
    assert all(run.until == run.high for run in found)
    assert all(run.high + 1 < following.low for run, following in pairwise(found))
    assert {each for each in range(32) if runs.within(found, each)} == {*before, *added}


@given(before=numbers, first=st.integers(1, 30), size=st.integers(1, 9))
def test_a_run_is_made_longer_only_where_it_meets_no_other(memory, before, first, size):
    session, added = ("pi5-1", "s1"), Run(first, first + size - 1, 1.0)
    memory.connection.execute("DELETE FROM telemetry_runs")
    runs.add(memory.connection, session, (), (Run(each, each, 1.0) for each in before))

    longer = runs.extend(memory.connection, session, added)

    free = not any(each in before for each in range(first, added.high + 2))
    assert longer == (first - 1 in before and free)
    if longer:
        assert set(range(first, added.high + 1)).issubset(
            each for run in runs.touched(memory.connection, session, 0, 40) for each in range(run.low, run.high + 1)
        )


def test_what_a_key_that_came_back_points_to_stays(memory):
    memory.samples = Heap(memory.connection)
    with memory.transaction():
        memory.samples.add(COLUMNS, [("pi5-9", 100.0, "s9", 1, 100.0, 7.0)])
    with suppress(UndoneError), memory.transaction():
        memory.samples.begin_removal(200.0)
        assert memory.samples.remove("pi5-9", 100) == 1
        raise UndoneError

    with memory.transaction():
        ended = memory.samples.end_removal(100)

    assert ended
    assert memory.query("SELECT energy_mj FROM samples WHERE device_id = 'pi5-9'") == [{"energy_mj": 7.0}]
