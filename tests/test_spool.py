"""Telemetry that could not be sent is kept: bounded, thinned from the oldest, over restarts, in batches that travel."""

from hypothesis import given
from hypothesis import strategies as st

from broker.messages import Telemetry
from broker.wire import MAX_PAYLOAD_BYTES, decode, encode
from edge_agent.outbox import Spool, thinned


def sample(seq):
    return Telemetry(ts=1_000.0 + seq, session="b1-x", seq=seq, cpu_usage_percent=1.5, model="m" * 50)


def seqs(spool):
    found = []
    while (batch := spool.batch()) is not None:
        found += [s.seq for s in batch.samples]
        spool.drop(batch)
    return found


def test_what_was_kept_survives_a_restart(tmp_path):
    path = tmp_path / "spool.jsonl"
    spool = Spool(path)
    for n in range(5):
        spool.add(sample(n))

    assert seqs(Spool(path)) == [0, 1, 2, 3, 4]
    assert seqs(Spool(path)) == []


def test_samples_say_that_they_were_spooled(tmp_path):
    spool = Spool(tmp_path / "spool.jsonl")
    spool.add(sample(1))

    assert spool.batch().samples[0].spooled
    assert spool.batch().samples[0].ts == 1_001.0


def test_a_batch_fits_one_payload_and_all_batches_carry_everything(tmp_path):
    spool = Spool(tmp_path / "spool.jsonl")
    for n in range(1_500):
        spool.add(sample(n))
    sizes, found = [], []
    while (batch := spool.batch()) is not None:
        sizes.append(len(encode(batch)))
        found += [s.seq for s in decode(Telemetry, encode(batch)).samples]
        spool.drop(batch)

    assert max(sizes) <= MAX_PAYLOAD_BYTES
    assert len(sizes) > 1
    assert found == list(range(1_500))


def test_a_full_spool_thins_its_older_half_and_keeps_the_newest(tmp_path):
    spool = Spool(tmp_path / "spool.jsonl", most=100)
    for n in range(500):
        spool.add(sample(n))

    kept = seqs(spool)
    assert len(kept) <= 100
    assert kept == sorted(set(kept))
    assert kept[-50:] == list(range(450, 500))
    assert kept[0] < 450


def test_lines_that_cannot_be_read_are_skipped(tmp_path):
    path = tmp_path / "spool.jsonl"
    Spool(path).add(sample(1))
    path.write_bytes(path.read_bytes() + b'{"ts":1,"sess\n' + b"\xff\n" + encode(sample(2)) + b"\n")

    assert seqs(Spool(path)) == [1, 2]


def test_a_disk_that_cannot_be_written_keeps_samples_in_memory(tmp_path):
    path = tmp_path / "spool.jsonl"
    path.symlink_to("/dev/full")
    spool = Spool.__new__(Spool)
    spool._path, spool._most, spool._waiting = path, 10, []

    spool.add(sample(1))

    assert len(spool) == 1


@given(st.lists(st.integers(), max_size=60))
def test_thinning_keeps_the_newer_half_whole_and_the_oldest(items):
    kept = thinned(items)

    assert kept[len(kept) - (len(items) - len(items) // 2) :] == items[len(items) // 2 :]
    assert kept[:1] == items[:1]
