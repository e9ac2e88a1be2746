"""The journal is on disk before anyone is told, rises strictly, and survives damage."""

import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.commands import ArtifactRef, Command, Progress
from broker.errors import ConflictError, StorageError, WireError
from broker.phases import NEXT, Phase
from edge_agent.files import WRITTEN
from edge_agent.journal import Entry, Journal

P = Phase


def entry(command_id="c1", **changes):
    command = Command(
        op="deploy", id=command_id, model="m", artifact=ArtifactRef(url="http://h/x", sha256="a" * 64, size=3)
    )
    plain = Entry(
        id=command_id,
        op="deploy",
        phase=P.ACCEPTED,
        created_at=1.0,
        ts=1.0,
        fingerprint=command.fingerprint,
        gen=1,
        command=command,
    )
    return replace(plain, **changes)


def test_an_entry_is_the_same_after_a_restart(tmp_path):
    journal = Journal(tmp_path)
    journal.put(entry())
    journal.move("c1", P.DOWNLOADING, now=2.0)
    last = journal.note("c1", now=3.0, result={"x": 1})

    assert Journal(tmp_path).get("c1") == last


def test_attempt_and_seq_rise_with_every_write(tmp_path):
    journal = Journal(tmp_path)
    seen = [journal.put(entry())]
    seen.append(journal.move("c1", P.DOWNLOADING, now=2.0))
    seen.append(journal.note("c1", now=2.0))
    seen.append(journal.begin_again("c1", P.ACCEPTED, now=3.0))
    seen.append(journal.move("c1", P.FAILED, now=4.0))

    pairs = [(e.attempt, e.seq) for e in seen]
    assert pairs == sorted(set(pairs))


def test_what_is_only_told_costs_no_write_and_the_next_life_is_newer_all_the_same(tmp_path):
    journal = Journal(tmp_path)
    journal.put(entry())
    journal.move("c1", P.DOWNLOADING, now=2.0)
    before = replace(WRITTEN)
    told = [journal.tell("c1", now=3.0 + n, progress=Progress(bytes=n, total=9)) for n in range(9)]

    assert before == WRITTEN
    assert [each.seq for each in told] == list(range(3, 12))
    assert journal.get("c1") == told[-1]
    again = Journal(tmp_path).begin_again("c1", P.ACCEPTED, now=20.0)
    assert (again.attempt, again.seq) > (told[-1].attempt, told[-1].seq)


def test_a_move_outside_the_contract_is_refused_and_not_written(tmp_path):
    journal = Journal(tmp_path)
    journal.put(entry())

    with pytest.raises(ConflictError):
        journal.move("c1", P.SUCCEEDED, now=2.0)

    assert Journal(tmp_path).get("c1").phase is P.ACCEPTED


@pytest.mark.parametrize("ended", sorted(p for p in P if not NEXT[p]))
def test_what_has_ended_never_moves_again(tmp_path, ended):
    journal = Journal(tmp_path)
    journal.put(entry(phase=ended))

    for phase in P:
        with pytest.raises(ConflictError):
            journal.move("c1", phase, now=2.0)


@pytest.mark.parametrize("damage", [b"", b"{", b'{"id":"c1"}', b"\x00" * 200, b"[]", b"nul"])
def test_a_damaged_file_is_set_aside_and_counted(tmp_path, damage):
    Journal(tmp_path).put(entry("good"))
    (tmp_path / "c1.json").write_bytes(damage)

    journal = Journal(tmp_path)

    assert journal.quarantined == 1
    assert journal.get("good") is not None
    assert (tmp_path / "quarantine" / "c1.json").read_bytes() == damage
    assert Journal(tmp_path).quarantined == 0


def test_half_written_files_vanish(tmp_path):
    (tmp_path / "c1.json.tmp").write_bytes(b"{")

    Journal(tmp_path)

    assert not list(tmp_path.glob("*.tmp"))


def test_a_write_that_fails_before_the_rename_leaves_the_old_entry(tmp_path):
    Journal(tmp_path).put(entry())

    def no_space(*_):
        raise OSError(28, "No space left on device")

    journal = Journal(tmp_path, rename=no_space)
    with pytest.raises(StorageError, match="No space left"):
        journal.move("c1", P.DOWNLOADING, now=2.0)

    assert journal.get("c1").phase is P.ACCEPTED
    assert Journal(tmp_path).get("c1").phase is P.ACCEPTED
    assert not list(tmp_path.glob("*.tmp"))


def test_the_file_is_synced_before_it_is_renamed_and_its_folder_after(tmp_path, monkeypatch):
    calls = []
    sync, rename = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("fsync"), sync(fd))[1])
    journal = Journal(tmp_path, rename=lambda a, b: (calls.append("rename"), rename(a, b))[1])

    journal.put(entry())

    assert calls == ["fsync", "rename", "fsync"]


@given(name=st.text(min_size=1, max_size=200))
def test_any_id_is_a_safe_file_name(name, tmp_path_factory):
    folder = tmp_path_factory.mktemp("journal")
    journal = Journal(folder)
    try:
        journal.put(entry(name))
    except (WireError, UnicodeEncodeError):
        return

    assert Journal(folder).get(name) == journal.get(name)
    assert [p.parent for p in folder.rglob("*.json")] == [folder]


def test_old_ended_entries_are_pruned_and_running_ones_never(tmp_path):
    journal = Journal(tmp_path, keep=16)
    journal.put(entry("running"))
    for i in range(40):
        journal.put(entry(f"e{i}", phase=P.SUCCEEDED, ts=10.0 + i))

    left = Journal(tmp_path)
    assert len(left.newest()) == 17
    assert left.get("running") is not None
    assert left.get("e39") is not None
    assert left.get("e0") is None


def test_an_ack_says_what_the_journal_says(tmp_path):
    journal = Journal(tmp_path)
    journal.put(entry())
    moved = journal.move("c1", P.WAITING, now=2.0, reason="controller")

    ack = moved.ack()

    assert (ack.id, ack.op, ack.state, ack.attempt, ack.seq, ack.gen, ack.reason) == (
        "c1",
        "deploy",
        P.WAITING,
        1,
        2,
        1,
        "controller",
    )
