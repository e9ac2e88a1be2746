"""Sums made beside the event loop: what comes, goes or fails between the reading and the writing is counted once."""

import asyncio
import contextlib
import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from broker.errors import StorageError
from broker.messages import Energy, Telemetry
from controller.storage.store import Store
from controller.storage.summed import SAID_BEFORE_S, Summed
from controller.telemetry import history, summing
from controller.telemetry.rollups import DAY_S, EVERY_S, HOUR_S, LAG_S, MINUTE_S, Part, Rollups
from controller.telemetry.summing import AT_ONCE, SPAN_S, Summing, chosen, make, reached, sum_up
from tests.controlling import controller
from tests.stocked import with_tables

T0 = 1_800_000_000.0 - 1_800_000_000.0 % DAY_S
DEVICES = ("pi5-1", "jetson-1")


@pytest.fixture
def store(tmp_path):
    opened = opened_in(tmp_path)
    yield opened
    opened.close()


def opened_in(folder):
    """A store in a file whose keys are written later, as a controller has it."""
    store = Store(with_tables(folder / "controller.db"))
    with store.transaction():
        for device_id in DEVICES:
            store.add_device(device_id, T0, approved=True)
        store.hold()
    return store


def add(store, device_id, times, *, at, first=0):
    """Let samples of T0 + `times` come at T0 + `at`."""
    energy = Energy(source="ina3221", energy_mj=5.0)
    samples = [Telemetry(ts=T0 + ts, session="s", seq=first + n, energy=energy) for n, ts in enumerate(times)]
    with store.transaction():
        history.add_samples(store, [(device_id, sample, T0 + at) for sample in samples])


def remove(store, before):
    """Let samples go that were taken before T0 + `before`."""
    with store.transaction():
        store.samples.settle(DEVICES)
        store.samples.begin_removal(T0 + before)
        for device_id in DEVICES:
            store.samples.remove(device_id, 10_000)
        store.samples.end_removal(10_000)


def counted(store, table="telemetry_minutes", device_id="pi5-1"):
    rows = store.query(f"SELECT ts, samples FROM {table} WHERE device_id = ?", [device_id])
    return {row["ts"] - T0: row["samples"] for row in rows}


def until(store, device_id="pi5-1"):
    return store.query("SELECT until FROM rolled WHERE device_id = ?", [device_id])[0]["until"] - T0


def summing_in(store):
    return Summing(Rollups(store=store), store.connection)


def sum_all(work, at):
    """Sum up what is due at `at`."""
    while parts := work.begin(at)[0]:
        with made_of(work, parts) as made:
            work.end(parts, made, at)


@contextlib.contextmanager
def made_of(work, parts):
    """What a thread makes of parts."""
    with work.connection.beside() as made:
        make(made, parts)
        yield made


class Interleaved(RuleBasedStateMachine):
    """Samples come live, late, twice or in vain, some go, the clock is set back, and a kill may come at any moment."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = opened_in(Path(self.folder.name))
        self.now, self.seq, self.cut = HOUR_S - 400.0, 0, 0.0
        self.told = {device_id: [] for device_id in DEVICES}
        self.parts = self.made = None
        self.open = contextlib.ExitStack()
        self.work = summing_in(self.store)

    def teardown(self):
        self.now += 2 * HOUR_S
        self.drop()
        sum_all(self.work, T0 + self.now)
        for device_id, told in self.told.items():
            for table, size in (("telemetry_minutes", MINUTE_S), ("telemetry_hours", HOUR_S)):
                closed = until(self.store, device_id) // size * size
                floors = Counter(ts // size * size for ts, _ in told)
                assert counted(self.store, table, device_id) == {at: n for at, n in floors.items() if at < closed}
        self.store.close()
        self.folder.cleanup()

    @invariant()
    def every_sample_is_read_once(self):
        for device_id, told in self.told.items():
            buckets = history.read_buckets(self.store, device_id, since=T0, until=T0 + 9 * HOUR_S, points=540)[1]
            floors = Counter(ts // MINUTE_S * MINUTE_S for ts, _ in told)
            assert {bucket["ts"] - T0: bucket["samples"] for bucket in buckets} == floors

    def add(self, device_id, times):
        add(self.store, device_id, times, at=self.now, first=self.seq)
        self.told[device_id] += [(ts, self.seq + n) for n, ts in enumerate(times)]
        self.seq += len(times)

    @rule(device_id=st.sampled_from(DEVICES), many=st.integers(1, 30))
    def live(self, device_id, many):
        first, self.now = self.now, min(self.now + 13.0 * many, 8 * HOUR_S)
        self.add(device_id, [ts for n in range(many) if (ts := first + 13.0 * n) <= self.now])

    @rule(device_id=st.sampled_from(DEVICES), late_s=st.one_of(st.integers(0, 900), st.integers(0, 9_000)))
    def late(self, device_id, late_s):
        self.add(device_id, [max(self.now - late_s, self.cut)])

    @rule(device_id=st.sampled_from(DEVICES), which=st.integers(0, 1_000))
    def twice(self, device_id, which):
        known = [(ts, seq) for ts, seq in self.told[device_id] if ts >= self.cut]
        if known:
            ts, seq = known[which % len(known)]
            add(self.store, device_id, [ts], at=self.now, first=seq)

    @rule(device_id=st.sampled_from(DEVICES), late_s=st.integers(0, 900))
    def in_vain(self, device_id, late_s):
        with pytest.raises(ZeroDivisionError), self.store.transaction():
            add(self.store, device_id, [self.now - late_s], at=self.now, first=self.seq)
            raise ZeroDivisionError

    @rule()
    def wait(self):
        self.now = min(self.now + EVERY_S, 8 * HOUR_S)

    @rule(back_s=st.integers(1, 2_000))
    def set_back(self, back_s):
        self.now = max(self.now - back_s, self.cut + LAG_S + MINUTE_S, HOUR_S / 2)

    @precondition(lambda self: self.parts is None)
    @rule()
    def begin(self):
        self.parts = self.work.begin(T0 + self.now)[0]

    @precondition(lambda self: self.parts and not self.made)
    @rule()
    def read(self):
        self.made = self.open.enter_context(made_of(self.work, self.parts))

    @precondition(lambda self: self.made)
    @rule()
    def end(self):
        self.work.end(self.parts, self.made, T0 + self.now)
        self.drop()

    @rule()
    def let_go(self):
        """What is summed up goes, as far as all are."""
        self.cut = max(self.cut, min(until(self.store, device_id) for device_id in DEVICES) // 600 * 600)
        remove(self.store, self.cut)

    @rule()
    def kill(self):
        self.store.connection.close()
        self.store = Store(Path(self.folder.name) / "controller.db")
        with self.store.transaction():
            self.store.hold()
        self.work = summing_in(self.store)
        self.drop()

    def drop(self):
        self.open.close()
        self.parts = self.made = None


TestInterleaved = Interleaved.TestCase
TestInterleaved.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)


def test_a_late_sample_of_what_is_in_hand_leaves_what_is_before_it_and_lets_the_rest_be_done_again(store):
    add(store, "pi5-1", range(0, 1_200, 10), at=1_200)
    work = summing_in(store)
    parts, _ = work.begin(T0 + 1_200)
    with made_of(work, parts) as made:
        add(store, "pi5-1", [605.0], at=1_200, first=500)
        work.end(parts, made, T0 + 1_200)

    assert (until(store), max(counted(store))) == (600.0, 540.0)
    assert until(store, "jetson-1") == 1_200 - LAG_S

    sum_all(work, T0 + 1_200)

    assert until(store) == 1_200 - LAG_S
    assert counted(store) == {minute: 7 if minute == 600 else 6 for minute in range(0, 1_020, 60)}


def test_only_whose_samples_are_to_be_summed_up_have_their_keys_before_their_turn(store):
    add(store, "pi5-1", [1_019.5, 1_030.0], at=1_100)
    add(store, "jetson-1", [1_020.0], at=1_100)
    work = summing_in(store)
    parts, _ = work.begin(T0 + 1_200)
    waits = [store.samples.waits([device_id]) for device_id in DEVICES]
    with made_of(work, parts) as made:
        work.end(parts, made, T0 + 1_200)

    assert waits == [False, True]
    assert counted(store) == {960.0: 1}


def test_an_hour_is_not_written_before_all_of_it_is_right(store):
    add(store, "pi5-1", range(0, 4_000, 10), at=4_000)
    work = summing_in(store)
    parts, _ = work.begin(T0 + 4_000)
    with made_of(work, parts) as made:
        add(store, "pi5-1", [3_505.0], at=4_000, first=500)
        work.end(parts, made, T0 + 4_000)

    assert counted(store, "telemetry_hours") == {}

    sum_all(work, T0 + 4_000)

    assert counted(store, "telemetry_hours") == {0.0: 361}


def test_an_hour_of_which_minutes_are_gone_stays_whole_when_one_of_it_comes_late(store):
    add(store, "pi5-1", range(0, 4_000, 10), at=4_000)
    work = summing_in(store)
    sum_all(work, T0 + 4_000)
    store.connection.execute("DELETE FROM telemetry_minutes WHERE ts < ?", [T0 + 600])
    add(store, "pi5-1", [1_830.0], at=4_000, first=500)
    sum_all(work, T0 + 4_000)

    assert counted(store)[1_800.0] == 7
    assert counted(store, "telemetry_hours") == {0.0: 360}


@pytest.mark.parametrize("since", ["nothing", "a look", "a start"])
def test_what_comes_after_the_clock_was_set_back_is_counted_although_its_minute_was_summed_up(store, since):
    add(store, "pi5-1", range(0, 1_200, 10), at=1_200)
    work = summing_in(store)
    sum_all(work, T0 + 1_200)
    if since == "a look":
        sum_all(work, T0 + 720)
    if since == "a start":
        store.summed = Summed()
        summing_in(store)
    add(store, "pi5-1", [725.0], at=725, first=500)
    minutes = history.read_buckets(store, "pi5-1", since=T0, until=T0 + 1_200, points=20)[1]

    assert [bucket["samples"] for bucket in minutes] == [7 if minute == 12 else 6 for minute in range(20)]


def test_what_went_between_reading_and_writing_stays_as_it_was_summed_up(store):
    add(store, "pi5-1", range(0, 7_200, 10), at=7_200)
    work = summing_in(store)
    sum_all(work, T0 + 7_200)
    add(store, "pi5-1", [5.0], at=7_200, first=5_000)
    parts, _ = work.begin(T0 + 7_200)
    remove(store, 3_610)
    with made_of(work, parts) as made:
        work.rollups.raw_days = (7_200 - 3_610) / DAY_S  # as retention says it with what goes
        work.end(parts, made, T0 + 7_200)
    kept = counted(store)
    sum_all(work, T0 + 7_200)

    assert kept == counted(store) == dict.fromkeys([float(minute) for minute in range(0, 7_020, 60)], 6)
    assert counted(store, "telemetry_hours") == {0.0: 360}


def test_a_device_that_is_forgotten_meanwhile_keeps_what_it_measured(store):
    add(store, "pi5-1", range(0, 1_200, 10), at=1_200)
    work = summing_in(store)
    parts, _ = work.begin(T0 + 1_200)
    with made_of(work, parts) as made:
        with store.transaction():
            store.forget_device("pi5-1")
        work.end(parts, made, T0 + 1_200)

    assert sum(counted(store).values()) == 102


def test_what_cannot_be_written_is_undone_and_made_again(store):
    add(store, "pi5-1", range(0, 1_200, 10), at=1_200)
    work = summing_in(store)
    parts, _ = work.begin(T0 + 1_200)
    with made_of(work, parts) as made:
        store.connection.execute("PRAGMA busy_timeout=0")
        with closing(sqlite3.connect(store.connection.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StorageError, match="could not be written"):
                work.end(parts, made, T0 + 1_200)
            with pytest.raises(StorageError):
                work.begin(T0 + 1_200)

    assert (until(store), counted(store)) == (-SAID_BEFORE_S, {})

    sum_all(work, T0 + 1_200)

    assert until(store) == 1_200 - LAG_S


def test_what_is_in_hand_is_little_whatever_waits():
    waiting = [{"device_id": f"pi5-{n}", "until": T0} for n in range(AT_ONCE)]

    assert len(chosen(waiting, T0 + EVERY_S)) == SPAN_S / EVERY_S
    assert len(chosen(waiting, T0 + HOUR_S)) == SPAN_S / HOUR_S
    assert len(chosen(waiting, T0 + 30 * DAY_S)) == 1
    assert chosen([], T0) == []


def test_a_part_reaches_as_far_as_it_is_right():
    part = Part(device_id="pi5-1", first=T0, begin=T0, end=T0 + 600.0)
    empty = Part(device_id="pi5-1", first=T0, begin=T0, end=T0)

    assert reached([part], {"pi5-1": T0 + 600.0}, T0) == {"pi5-1": T0 + 600.0}
    assert reached([part], {"pi5-1": T0 + 60.0}, T0) == {"pi5-1": T0 + 60.0}
    assert reached([part], {"pi5-1": T0}, T0) == {}
    assert reached([part], {"pi5-1": T0 + 600.0}, T0 + 60.0) == {}
    assert reached([empty], {"pi5-1": T0}, T0) == {"pi5-1": T0}
    assert reached([empty], {"pi5-1": T0 - 60.0}, T0) == {}


def running(store, at, noted):
    rollups = Rollups(store=store)
    return rollups, asyncio.create_task(sum_up(rollups, lambda: T0 + at, noted.append))


async def became(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for is in the database, which sends no event
            await asyncio.sleep(0.005)


async def ended(task):
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_controller_with_a_file_sums_up_beside_its_loop_and_not_in_its_ticks(store, monkeypatch):
    monkeypatch.setattr(summing, "LOOK_EVERY_S", 0.01)
    add(store, "pi5-1", range(0, 4_000, 10), at=4_000)

    async def story():
        rollups, task = running(store, 4_000, noted := [])
        await became(lambda: until(store) == 3_780.0)
        await ended(task)
        return rollups.tick(T0 + DAY_S), noted

    assert asyncio.run(story()) == (0, [])
    assert set(counted(store).values()) == {6}
    assert counted(store, "telemetry_hours") == {0.0: 360}


def test_what_cannot_be_read_is_said_and_tried_again(store, monkeypatch):
    monkeypatch.setattr(summing, "LOOK_EVERY_S", 0.01)
    add(store, "pi5-1", range(0, 1_200, 10), at=1_200)
    path, store.connection.path = store.connection.path, store.connection.path.with_name("away.db")

    async def story():
        _, task = running(store, 1_200, noted := [])
        await became(lambda: len(noted) > 1)
        store.connection.path = path
        await became(lambda: counted(store))
        await ended(task)
        return noted[0]

    error = asyncio.run(story())

    assert "could not be read" in error.message
    assert error.code == "database_readonly"


def test_a_controller_that_stops_while_a_thread_reads_ends_at_once_and_leaves_the_rest_undone(store):
    add(store, "pi5-1", range(0, 1_200, 10), at=1_200)

    async def story():
        _, task = running(store, 1_200, [])
        await asyncio.sleep(0)
        assert store.summed.now
        await ended(task)

    asyncio.run(story())

    assert (until(store), counted(store)) == (-SAID_BEFORE_S, {})


@pytest.mark.parametrize("workers", [False, True])
def test_where_workers_store_telemetry_ticks_sum_up(tmp_path, workers):
    async def story():
        async with controller(tmp_path, telemetry_workers=workers) as running:
            rollups = running.parts.ingest.passing.retention.rollups
            await running.until(lambda: begun(running.parts.ingest))
            return rollups.beside

    async def begun(ingest):
        return ingest.ticks > 0

    assert asyncio.run(story()) is not workers


def test_what_is_no_file_is_summed_up_in_ticks():
    store = Store(None)
    store.add_device("pi5-1", T0, approved=True)
    rollups = Rollups(store=store)
    asyncio.run(sum_up(rollups, lambda: T0 + HOUR_S, pytest.fail))

    assert rollups.tick(T0 + HOUR_S) == 1
    store.close()
