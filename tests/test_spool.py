"""Telemetry that could not be sent: bounded, thinned by its age, over restarts and full disks, and few writes of it."""

import shutil
import tempfile
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.messages import Telemetry
from broker.wire import MAX_PAYLOAD_BYTES, decode, encode
from edge_agent.files import WRITTEN, Written
from edge_agent.history import CLOCKS_BEGIN, pause_s, placed
from edge_agent.spool import EVERY_S, SEGMENT_BYTES, Segment, Spool
from edge_agent.thinning import to_thin

INTERVAL_S = 5
A_DAY = 86_400 // INTERVAL_S
MEMORY = Path("/dev/shm")


class Hours:
    """A clock that stands still until a sample is due."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def flash():
    """A folder in memory: what counts is how often it is asked to be safe, not how long a disk takes."""
    folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
    yield folder / "spool"
    shutil.rmtree(folder)


def sample(seq, **changes):
    plain = {"cpu_usage_percent": 11.5, "ram_usage_mb": 512.3, "ram_usage_percent": 25.1, "storage_usage_mb": 8_123.4}
    plain |= {"ts": 1_790_000_000.0 + seq, "session": "b1-abcdef", "seq": seq, "uptime_seconds": 1_234.5 + seq}
    return Telemetry(**{**plain, "model": "mobilenetv3_small_075", "temperature_c": 48.1, "rate": 1.0, **changes})


def away(spool, clock, seqs):
    """Let samples come that cannot be sent, one each interval."""
    for seq in seqs:
        clock.now += INTERVAL_S
        spool.add(sample(seq))
    return spool


def seqs(spool):
    """Send everything; return the numbers as they came."""
    found = []
    while (batch := spool.oldest()) is not None:
        found += [each.seq for each in batch.samples]
        spool.drop(batch)
    return found


def grown(before):
    return Written(WRITTEN.bytes - before.bytes, WRITTEN.blocks - before.blocks, WRITTEN.syncs - before.syncs)


def now():
    return Written(WRITTEN.bytes, WRITTEN.blocks, WRITTEN.syncs)


def test_a_day_away_is_kept_whole_in_a_write_a_minute_and_sent_oldest_first(flash):
    clock = Hours()
    spool, before = Spool(flash, steady=clock), now()
    away(spool, clock, range(A_DAY))
    wrote = grown(before)
    segments = len(list(flash.iterdir()))

    assert wrote.syncs - segments <= A_DAY * INTERVAL_S / EVERY_S
    assert wrote.bytes < 8_000_000
    assert wrote.blocks * 4_096 < 16_000_000
    assert segments < 250
    assert spool.thinned == 0
    assert seqs(spool) == list(range(A_DAY))
    assert list(flash.iterdir()) == []


def test_samples_that_fill_a_segment_within_a_minute_are_written_a_segment_at_a_time(flash):
    clock, before = Hours(), now()
    spool = Spool(flash, steady=clock)
    for seq in range(1_000):
        clock.now += 0.1
        spool.add(sample(seq))
    sizes = sorted(path.stat().st_size for path in flash.iterdir())

    assert sizes[-1] <= SEGMENT_BYTES
    assert sizes[1] > 0.9 * SEGMENT_BYTES
    assert grown(before).syncs <= 2 * len(sizes) + 1
    assert seqs(spool) == list(range(1_000))


def test_less_than_a_minute_away_writes_nothing(flash):
    clock, before = Hours(), now()
    spool = away(Spool(flash, steady=clock), clock, range(12))

    assert grown(before) == Written()
    assert seqs(spool) == list(range(12))


def test_a_kill_costs_a_minute_at_most_and_what_is_on_disk_is_sent_after_it(flash):
    clock = Hours()
    away(Spool(flash, steady=clock), clock, range(100))  # and no more is heard of this one

    kept = seqs(Spool(flash, steady=clock))
    assert kept == list(range(len(kept)))
    assert 100 - len(kept) <= EVERY_S / INTERVAL_S


def test_what_was_sent_and_not_yet_forgotten_is_sent_once_more_after_a_kill_and_nothing_is_lost(flash):
    clock = Hours()
    spool = away(Spool(flash, steady=clock), clock, range(500))
    spool.secure()
    first = spool.oldest()
    spool.drop(first)
    second = spool.oldest()  # is acknowledged, and the process dies

    again = seqs(Spool(flash, steady=clock))
    assert [each.seq for each in first.samples] + again == list(range(500))
    assert [each.seq for each in second.samples] == again[: len(second.samples)]


def test_what_comes_while_a_batch_is_on_its_way_is_kept(flash):
    clock = Hours()
    spool = away(Spool(flash, steady=clock), clock, range(20))
    batch = spool.oldest()
    away(spool, clock, range(20, 60))
    spool.drop(batch)

    assert [each.seq for each in batch.samples] + seqs(spool) == list(range(60))


def test_samples_say_that_they_were_spooled_and_a_batch_fits_one_payload(flash):
    clock = Hours()
    spool = away(Spool(flash, steady=clock), clock, range(300))
    batch = spool.oldest()

    assert all(each.spooled for each in batch.samples)
    assert len(encode(Telemetry(batch=batch.samples, spooled=True))) < min(MAX_PAYLOAD_BYTES, SEGMENT_BYTES + 1_000)


def test_too_much_is_thinned_by_its_age_and_counted(flash):
    clock = Hours()
    spool = away(Spool(flash, steady=clock, most_bytes=20 * SEGMENT_BYTES), clock, range(A_DAY))

    assert sum(path.stat().st_size for path in flash.iterdir()) <= 20 * SEGMENT_BYTES
    kept = seqs(spool)
    assert len(kept) + spool.thinned == A_DAY
    assert kept == sorted(set(kept))
    assert kept[0] == 0
    assert kept[-150:] == list(range(A_DAY - 150, A_DAY))
    gaps = [(later - earlier, A_DAY - later) for earlier, later in pairwise(kept) if later - earlier > 1]
    assert max(gap / age for gap, age in gaps) < 0.02


def test_a_kill_in_the_middle_of_thinning_keeps_each_sample_once(flash):
    clock = Hours()
    spool = away(Spool(flash, steady=clock), clock, range(400))
    spool.flush()
    earlier, later = sorted(Segment.of(path.name) for path in flash.iterdir())[:2]
    joined = flash / earlier.joined(later).name
    joined.write_bytes(b"".join((flash / earlier.name).read_bytes().splitlines(keepends=True)[::2]))
    (flash / "half.tmp").write_bytes(b"{")

    kept = seqs(Spool(flash))
    assert kept == sorted(set(kept))
    assert kept[:3] == [0, 2, 4]
    assert kept[-1] == 399


def test_lines_that_cannot_be_read_are_skipped(flash):
    clock = Hours()
    away(Spool(flash, steady=clock), clock, range(13))
    path = next(flash.iterdir())
    path.write_bytes(path.read_bytes() + b'{"ts":1,"sess\n' + b"\xff\n" + encode(sample(99)) + b"\n")
    (flash / Segment(7, 7).name).write_bytes(b"\0" * 4_096)
    (flash / "stranger.jsonl").write_bytes(b"")

    assert seqs(Spool(flash)) == [*range(13), 99]


def test_a_full_disk_keeps_samples_in_memory_and_writes_them_when_there_is_room(flash, caplog):
    clock = Hours()
    spool = Spool(flash, steady=clock)
    flash.mkdir(parents=True)
    full = flash / Segment(1, 1).name
    full.symlink_to("/dev/full")
    away(spool, clock, range(200))

    assert [record.message for record in caplog.records] == [
        f"telemetry waits in memory only: No space left on the device for {full.name}"
    ]
    full.unlink()
    away(spool, clock, range(200, 213))
    assert len(list(flash.iterdir())) > 1
    assert seqs(spool) == list(range(213))


def test_a_disk_that_stays_full_thins_what_is_in_memory(flash):
    clock = Hours()
    spool = Spool(flash, steady=clock)
    flash.mkdir(parents=True)
    (flash / Segment(1, 1).name).symlink_to("/dev/full")
    away(spool, clock, range(2_500))
    kept = seqs(spool)

    assert spool.thinned
    assert len(kept) + spool.thinned == 2_500
    assert kept[-500:] == list(range(2_000, 2_500))


def test_who_wants_nothing_written_keeps_the_newest_minutes(flash):
    clock, before = Hours(), now()
    spool = away(Spool(flash, steady=clock, most_bytes=0), clock, range(1_000))

    assert grown(before) == Written()
    assert seqs(spool)[-30:] == list(range(970, 1_000))


def test_a_clock_that_jumps_changes_neither_order_nor_times(flash):
    clock = Hours()
    spool = Spool(flash, steady=clock)
    times = [1_790_000_000.0, 1_790_000_005.0, 1_600_000_000.0, 1_600_000_005.0]
    for seq, ts in enumerate(times):
        spool.add(sample(seq, ts=ts))

    assert [each.ts for each in spool.oldest().samples] == times


def test_a_fleet_that_comes_back_at_once_sends_what_one_controller_takes_in_however_large_it_is():
    a_batch = 65
    assert [pause_s(5.0, devices) for devices in (0, 1, 1_000)] == [5.0, 5.0, 5.0]
    assert pause_s(0.5, 10) == 0.5
    for devices in (1_000, 10_000, 100_000):
        assert devices * a_batch / pause_s(60.0, devices) == 13_000


def test_what_was_sampled_before_the_clock_was_set_gets_its_time_from_the_boards_uptime():
    early = sample(1, ts=60.0, uptime_seconds=60.0)
    live = sample(9, ts=1_790_000_000.0, uptime_seconds=3_660.0)

    assert placed(early, live).ts == 1_790_000_000.0 - 3_600
    for other in (sample(9, session="b2-x"), sample(9, ts=61.0), sample(9, uptime_seconds=None), None):
        assert placed(early, other) == early
    assert placed(sample(1, ts=CLOCKS_BEGIN), live).ts == CLOCKS_BEGIN


@given(st.lists(st.integers(0, 6), max_size=40))
def test_only_neighbours_of_one_level_are_thinned_and_the_older_of_equals(levels):
    place = to_thin(levels)
    pairs = [i for i in range(len(levels) - 1) if levels[i] == levels[i + 1]]

    assert (place is None) == (not pairs)
    if place is not None:
        assert place == min(i for i in pairs if levels[i] == levels[place])


def test_a_written_byte_counts_the_blocks_it_touches():
    wrote = Written()
    wrote.add(10)
    wrote.add(10, at=4_090)
    wrote.add(0, at=4_096)

    assert (wrote.bytes, wrote.blocks) == (20, 3)


def test_the_batch_of_a_spool_is_what_travels(flash):
    clock = Hours()
    batch = away(Spool(flash, steady=clock), clock, range(5)).oldest()
    message = decode(Telemetry, encode(Telemetry(batch=batch.samples, spooled=True)))

    assert [each.seq for each in message.samples] == list(range(5))
