"""How many samples of a device never came: whatever comes late, twice, in between restarts or is rolled back."""

from itertools import count

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from broker.errors import StorageError
from broker.messages import Telemetry
from broker.topics import TELEMETRY
from controller.storage.store import Store
from controller.telemetry.gaps import MOST_MISSING, missing
from controller.telemetry.live import Live
from controller.telemetry.samples import Samples

AT = 1_800_000_000.0


class Ingest:
    """What hears one device, commits, and may be begun anew."""

    def __init__(self, store, device_id="pi5-1"):
        self.store, self.id = store, device_id
        with store.transaction():
            store.add_device(device_id, AT, approved=True)
        self.restart()

    def restart(self):
        self.samples = Samples(self.store, Live())

    def hear(self, *messages, then=None):
        """Take in messages, each the numbers of one, and commit, or do `then` and find that nothing can be written."""
        try:
            with self.store.transaction():
                for session, numbers in messages:
                    self.samples.take(self.id, TELEMETRY.encode(said(session, numbers)), AT)
                self.samples.flush()
                if then is not None:
                    raise then
        except StorageError:
            self.samples.discard()

    @property
    def gaps(self):
        return self.store.device(self.id)["gaps"]

    @property
    def missing(self):
        """What is missing, counted from the samples."""
        each = "SELECT max(seq) - min(seq) + 1 - count(DISTINCT seq) AS n FROM telemetry"
        rows = self.store.query(f"{each} WHERE device_id = ? GROUP BY session", [self.id])
        return sum(row["n"] for row in rows)


def said(session, numbers):
    if isinstance(numbers, int):
        return Telemetry(ts=AT, session=session, seq=numbers)
    return Telemetry(batch=tuple(Telemetry(ts=AT, session=session, seq=seq, spooled=True) for seq in numbers))


@pytest.fixture
def ingest(store):
    return Ingest(store)


def test_history_after_a_restart_fills_the_gap_that_was_counted_before_it(ingest):
    ingest.hear(("b1", 1), ("b1", 101))
    assert ingest.gaps == 99
    ingest.hear(("b1", range(2, 41)))
    ingest.restart()
    ingest.hear(("b1", 102))
    ingest.hear(("b1", range(2, 81)))  # what was not acknowledged comes again, with more
    assert ingest.gaps == 20
    ingest.hear(("b1", range(81, 100)))
    assert ingest.gaps == ingest.missing == 1


def test_what_went_by_while_nobody_listened_is_missing(ingest):
    ingest.hear(("b1", 1))
    ingest.restart()
    ingest.hear(("b1", 5))
    assert ingest.gaps == 3


def test_history_of_an_earlier_run_takes_nothing_from_the_gaps_of_this_one(ingest):
    ingest.hear(("b2", 1), ("b2", 4))
    ingest.hear(("b1", range(10, 20)), ("b2", 5), ("b1", range(30, 40)), ("b2", 6))
    assert ingest.gaps == 2 + 10
    ingest.hear(("b2", range(-3, 1)))  # sampled before the first that could be said
    assert ingest.gaps == 2 + 10


def test_what_was_rolled_back_and_comes_again_counts_once(ingest):
    ingest.hear(("b1", 1), ("b1", 2))
    for failing in (StorageError("the disk is full"), None):
        ingest.hear(("b1", 3), ("b1", 6), ("b1", 7), then=failing)
    assert ingest.gaps == ingest.missing == 2


def test_numbers_that_jump_beyond_belief_and_sessions_that_no_database_stores_do_no_harm(ingest):
    for session in ("b1", "b2"):
        ingest.hear((session, 1), (session, 2**53 - 1), (session, 2), ("nul\0", 1))
    ingest.hear(("nul\0", 9), ("b3", 1), ("b3", 3))
    assert ingest.gaps == 2 * MOST_MISSING + 1


def test_what_is_missing_is_within_the_numbers_that_are_known():
    assert missing(None, {5, 7}, ()) == 1
    assert missing((5, 7), {6}, ()) == -1
    assert missing((5, 7), {5, 7}, {5, 7}) == 0
    assert missing((5, 7), {2, 10}, ()) == 4


heard = st.tuples(
    st.sampled_from(["b1", "b2"]), st.integers(1, 30) | st.lists(st.integers(1, 30), min_size=1, max_size=8)
)
steps = st.lists(st.lists(heard, min_size=1, max_size=6) | st.sampled_from(["restart", "roll back"]), max_size=12)


@pytest.fixture(scope="module")
def ids():
    """Names of devices that nobody had before."""
    return map("pi5-{}".format, count())


@pytest.fixture(scope="module")
def memory():
    store = Store(None)
    yield store
    store.close()


@settings(max_examples=60)
@given(steps=steps)
@example(steps=[[("b1", 17)], [("b1", 18), ("b2", 1), ("b1", [20])]])
@example(steps=[[("b1", 1)], [("b1", 2), ("b1", 2)], "restart", [("b1", 3), ("b1", [3, 2])]])
def test_in_any_order_the_count_is_what_the_samples_say(memory, ids, steps):
    ingest, then = Ingest(memory, next(ids)), None
    for step in steps:
        if step == "restart":
            ingest.restart()
        elif step == "roll back":
            then = StorageError("the disk is full")
        else:
            ingest.hear(*step, then=then)
            then = None
    assert ingest.gaps == ingest.missing
