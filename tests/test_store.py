"""The database: whole transactions, samples once, buckets that keep their extremes."""

import shutil
import subprocess
import sys
from contextlib import closing

import pytest

from broker.commands import Ack
from broker.errors import StorageError
from broker.messages import Energy, Latency, Telemetry
from broker.phases import Phase
from controller.deployment import begin
from controller.outbox import LAST_RETRY_S, Outbox
from controller.records import Commands, Deployments, Measurements
from controller.rollouts.records import HEAD, Participants
from controller.rollouts.standing import Standing
from controller.storage.fault import Fault
from controller.storage.schema import migrations
from controller.storage.sqlite import Database, connect
from controller.storage.store import Store
from controller.telemetry import history

T0 = 1_800_000_000.0


@pytest.fixture
def store(store):
    for device_id in ("pi5-1", "jetson-1"):
        store.add_device(device_id, T0, approved=True)
    return store


def sample(seq, energy_mj=None, source="simulated", **more):
    energy = None if energy_mj is None else Energy(source=source, energy_mj=energy_mj)
    return Telemetry(ts=T0 + seq, session="s1", seq=seq, energy=energy, **more)


def test_a_transaction_that_fails_leaves_nothing(store):
    with pytest.raises(ValueError, match="in the middle"), store.transaction():
        store.add_device("bbb-1", T0, approved=True)
        raise ValueError("in the middle")

    assert not store.has_device("bbb-1")


def test_a_full_disk_is_said_in_a_sentence_and_nothing_is_half_written():
    store = Store(None)
    pages = store.connection.execute("PRAGMA page_count").fetchone()[0]
    store.connection.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(StorageError, match="full"), store.transaction():
        for n in range(2_000):
            store.add_event(T0, "log", f"{n} " + "x" * 500)

    assert store.events() == []
    store.close()


@pytest.mark.parametrize(
    ("pragma", "code", "hint"),
    [
        ("max_page_count = 1", "disk_full", "free some disk space"),
        ("query_only = 1", "database_readonly", "rights of the data folder"),
        ("busy_timeout = 0", "database_busy", "another program"),
    ],
)
def test_why_a_file_cannot_be_written_is_told_apart(tmp_path, pragma, code, hint):
    store = Store(tmp_path / "c.db")
    store.connection.execute(f"PRAGMA {pragma}").fetchall()
    other = connect(tmp_path / "c.db")
    if code == "database_busy":
        other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StorageError, match="could not be written") as told, store.transaction():
        for n in range(200):
            store.add_event(T0, "log", f"{n} " + "x" * 500)

    assert told.value.code == code
    assert hint in told.value.hint
    other.close()
    store.close()


def test_a_fault_is_over_with_any_write_unless_messages_wait():
    fault, full = Fault(), StorageError("full", hint="free some")
    fault.note(full)
    assert (fault.message, fault.may_be_over) == ("full", True)
    fault.over()
    assert fault.message is None

    fault.note(full, batch=True)
    fault.note(full)
    assert (fault.message, fault.may_be_over) == ("full", False)


def test_what_was_committed_survives_kill_9(tmp_path):
    script = (
        "import os, sys; from pathlib import Path; from controller.storage.store import Store\n"
        "s = Store(Path(sys.argv[1]))\n"
        "with s.transaction(): s.add_device('kept', 1.0, approved=True)\n"
        "s.connection.execute('BEGIN'); s.add_device('lost', 1.0, approved=True); os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "c.db")], check=False)

    store = Store(tmp_path / "c.db")
    assert [row["id"] for row in store.devices()] == ["kept"]
    store.close()


def test_a_database_that_is_none_is_refused_with_a_sentence(tmp_path):
    path = tmp_path / "c.db"
    path.write_bytes(b"not a database, but long enough to be looked at" * 50)

    with pytest.raises(StorageError, match="cannot open"):
        Store(path)


def test_devices_of_a_rollout_keep_their_order_where_the_file_is_older_than_their_numbers(tmp_path):
    older = connect(tmp_path / "c.db")
    migrations.apply(Database(older), stop_before="m014_places")
    older.executemany(
        "INSERT INTO rollout_devices (rollout_id, device_id, wave, standing, moving, since) VALUES (?, ?, 0, ?, 0, 0)",
        [("r1", device_id, "waiting") for device_id in ("c", "a", "b")],
    )
    older.close()

    store = Store(tmp_path / "c.db")
    Participants(store=store).add("r1", [("d", "pi", 0, "waiting", 0, T0, None, None)])

    waiting = Participants(store=store).waiting("r1", 0, online=False, limit=9)
    assert [row["device_id"] for row in waiting] == ["c", "a", "b", "d"]
    store.close()


def test_whose_turn_it_is_is_sought_at_the_head_of_a_wave_and_in_all_of_it_when_nobody_there_is_connected(store):
    parts, away = Participants(store=store), [f"away-{n:03d}" for n in range(HEAD)]
    names = [*away, "late-1", "away-x", "late-2"]
    with store.transaction():
        for name in names:
            store.add_device(name, T0, approved=True)
            store.put_device(name, online=int(name.startswith("late")))
        parts.add("r1", [(name, "pi", 0, "waiting", 0, T0, None, None) for name in names])

    def turn(*, online, limit=5):
        return [part["device_id"] for part in parts.next("r1", 0, online=online, limit=limit)]

    assert turn(online=True) == ["late-1", "late-2"]
    assert turn(online=False, limit=HEAD + 5) == away
    with store.transaction():
        for name in away:
            parts.put("r1", name, Standing.AWAY, T0)
    assert (turn(online=True, limit=1), turn(online=False)) == (["late-1"], ["away-x"])


def test_a_sample_that_comes_twice_is_stored_once(store):
    for _ in range(2):
        history.add_samples(store, [("pi5-1", sample(1, 10.0), T0)])

    assert store.query("SELECT count(*) AS n FROM telemetry")[0]["n"] == 1


def test_buckets_keep_the_spike_and_leave_absent_figures_absent(store):
    rows = [
        ("pi5-1", sample(n, 500.0 if n == 7 else 10.0, latency_ms=Latency(p50=1, p95=2, max=3)), T0) for n in range(10)
    ]
    history.add_samples(store, rows)

    bucket_s, buckets = history.read_buckets(store, "pi5-1", since=T0, until=T0 + 50, points=1)

    assert bucket_s == 50
    assert buckets[0]["energy_mj"] == {"min": 10.0, "mean": 59.0, "max": 500.0}
    assert buckets[0]["latency_p95_ms"] == {"min": 2.0, "mean": 2.0, "max": 2.0}
    assert buckets[0]["temperature_c"] is None


def test_measured_and_simulated_energy_are_never_averaged_together(store):
    rows = [("pi5-1", sample(1, 10.0), T0), ("pi5-1", sample(2, 90.0, source="ina3221"), T0)]
    history.add_samples(store, rows)

    _, buckets = history.read_buckets(store, "pi5-1", since=T0, until=T0 + 60, points=1)

    assert {b["energy_source"]: b["energy_mj"]["mean"] for b in buckets} == {"simulated": 10.0, "ina3221": 90.0}


def test_a_chart_never_gets_more_points_than_it_asked_for(store):
    history.add_samples(store, [("pi5-1", sample(n, 1.0), T0) for n in range(5_000)])

    _, buckets = history.read_buckets(store, "pi5-1", since=T0, until=T0 + 5_000, points=100)

    assert len(buckets) <= 101


def test_a_deployment_comes_back_as_it_was(store):
    deployments = Deployments(store)
    deployment = begin(command_id="d1", device_id="pi5-1", model="m", origin="cli", at=T0, budget_mj=12.5, typed=True)
    deployments.put(deployment)

    assert deployments.get("d1@pi5-1") == deployment
    assert deployments.find(device_id="pi5-1", open_only=True) == [deployment]
    assert deployments.count() == {"requested": 1}


def test_only_a_newer_ack_changes_a_command(store):
    commands = Commands(store)
    commands.add("c1", "pi5-1", "ping", "rest", T0)
    done = Ack(id="c1", op="ping", state=Phase.SUCCEEDED, attempt=1, seq=2)

    assert commands.hear("pi5-1", done, T0)
    assert not commands.hear("pi5-1", done, T0)
    assert not commands.hear("pi5-1", Ack(id="c1", op="ping", state=Phase.ACCEPTED, attempt=1, seq=1), T0)
    assert not commands.hear("jetson-1", Ack(id="c1", op="ping", state=Phase.FAILED, attempt=9, seq=9), T0)
    assert commands.get("c1")["state"] == commands.get("c1")["ack"]["state"] == "succeeded"


def test_a_measurement_without_a_source_is_not_kept(store):
    measurements = Measurements(store)
    measurements.put("pi5-1", "m", None, {"energy_mj": 3.0}, T0)
    assert measurements.get("pi5-1", "m") is None

    measurements.put("pi5-1", "m", None, {"energy_mj": 3, "energy_source": "simulated", "latency_p95_ms": 4}, T0)
    assert measurements.get("pi5-1", "m")["energy_mj"] == 3.0


def queue(outbox, topic="device/pi5-1/cmd", command_id="c1", **more):
    outbox.put(device_id="pi5-1", command_id=command_id, topic=topic, payload=b"{}", at=T0, **more)


def test_a_command_waits_for_its_device_and_a_retained_document_does_not(store):
    outbox = Outbox(store)
    queue(outbox)
    queue(outbox, "device/pi5-1/desired", "desired:pi5-1", retain=True)
    assert [row["retain"] for row in outbox.due(T0)] == [1]

    store.put_device("pi5-1", online=1)
    assert [row["retain"] for row in outbox.due(T0)] == [0, 1]


def test_a_command_comes_again_ever_more_rarely_until_it_is_heard(store):
    store.put_device("pi5-1", online=1)
    outbox = Outbox(store)
    queue(outbox)
    waits, at = [], T0
    for _ in range(8):
        (row,) = outbox.due(at)
        outbox.sent(row, at)
        waits.append(outbox.next_at() - at)
        at = outbox.next_at()
    outbox.heard("pi5-1", "c1")

    assert waits[:3] == [15, 30, 60]
    assert waits[-1] == LAST_RETRY_S
    assert outbox.due(at + 9e9) == []


def test_a_newer_retained_document_replaces_the_one_that_waits(store):
    outbox = Outbox(store)
    for _ in range(3):
        queue(outbox, "device/pi5-1/desired", "desired:pi5-1", retain=True)

    assert len(outbox.due(T0)) == 1


def test_an_order_that_nobody_took_in_time_is_taken_out(store):
    outbox = Outbox(store)
    queue(outbox, expires_at=T0 + 60)

    assert outbox.expired(T0 + 59) == []
    assert [row["command_id"] for row in outbox.expired(T0 + 60)] == ["c1"]
    assert outbox.next_at() is None


def test_the_tables_refuse_a_value_of_another_type(store):
    with pytest.raises(StorageError), store.transaction():
        store.put_device("pi5-1", gaps="many")

    assert store.device("pi5-1")["gaps"] == 0


def test_what_is_committed_is_brought_from_the_log_to_the_file_beside_who_writes(tmp_path):
    path, copy = tmp_path / "controller.db", tmp_path / "copy.db"
    with closing(Store(path)) as store:
        store.connection.spread_writes()
        store.add_event(1.0, "device", "committed")
        with store.transaction():
            store.add_event(2.0, "device", "not committed")
            store.connection.write_back()
            shutil.copy(path, copy)

    with closing(Store(copy)) as found:
        assert [event["text"] for event in found.events()] == ["committed"]
