"""Samples are appended first and get their keys later: each is found once, whatever is undone, killed or said twice."""

from contextlib import suppress

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from controller.storage.heap import Heap
from controller.storage.store import Store

COLUMNS = ("device_id", "ts", "session", "seq", "received_at", "energy_mj")
DEVICES, SESSIONS = ("jetson-1", "pi5-1", "pi5-2"), ("s1", "s2")

sample = st.tuples(st.sampled_from(DEVICES), st.sampled_from(SESSIONS), st.integers(1, 6))
batch = st.lists(sample, min_size=1, max_size=8)


class UndoneError(Exception):
    """Why a transaction is rolled back."""


class Appended(RuleBasedStateMachine):
    """A file's table of samples beside a dict of what was committed first under each name."""

    store: Store

    @initialize(held=st.booleans())
    def begin(self, held):
        for table in ("telemetry", "telemetry_keys", "telemetry_times"):
            self.store.connection.execute(f"DELETE FROM {table}")
        self.store.connection.execute("UPDATE telemetry_written SET up_to = 0")
        self.known, self.said, self.held, self.walking = {}, 0, held, False
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
            rows.append((device_id, 100.0 * seq, session, seq, 0.0, float(self.said)))
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

    @rule(device_id=st.sampled_from(DEVICES), before=st.sampled_from((150.0, 350.0, 1_000.0)))
    def the_oldest_go(self, device_id, before):
        self.store.settle(device_id)
        with self.store.transaction():
            gone = self.store.samples.remove(device_id, before, 100)
        old = [name for name in self.known if name[0] == device_id and 100.0 * name[2] < before]
        assert gone == len(old)
        for name in old:
            del self.known[name]

    @rule(held=st.booleans())
    def the_process_is_killed(self, held):
        self.held, self.walking = held, False
        self.start()

    @invariant()
    def nothing_is_there_that_was_not_committed(self):
        if hasattr(self, "known"):
            rows = self.store.query("SELECT device_id, session, seq, energy_mj FROM samples")
            found = {(row["device_id"], row["session"], row["seq"]): row["energy_mj"] for row in rows}
            assert len(found) == len(rows)
            assert found.items() <= self.known.items()

    def teardown(self):
        if hasattr(self, "known"):
            self.start()
            self.store.settle(*DEVICES)
            rows = self.store.query("SELECT device_id, ts, session, seq, energy_mj FROM samples")
            assert {(row["device_id"], row["session"], row["seq"]): row["energy_mj"] for row in rows} == self.known
            assert all(row["ts"] == 100.0 * row["seq"] for row in rows)
            [counts] = self.store.query(
                "SELECT (SELECT count(*) FROM telemetry) AS rows, (SELECT count(*) FROM telemetry_keys) AS keys, "
                "(SELECT count(*) FROM telemetry_times) AS times"
            )
            assert counts == {"rows": len(rows), "keys": len(rows), "times": len(rows)}


@pytest.fixture(scope="module")
def memory():
    store = Store(None)
    yield store
    store.close()


def test_every_sample_is_found_once_whatever_is_undone_killed_or_said_twice(memory):
    machine = type("Machine", (Appended,), {"store": memory})
    run_state_machine_as_test(machine, settings=settings(max_examples=60, stateful_step_count=20, deadline=None))
