"""Databases of every earlier schema come to the present with all they hold; those of a newer program stay untouched."""

import hashlib
import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from broker.errors import StorageError
from broker.phases import Phase
from controller import lives
from controller.records import Deployments, Measurements
from controller.settings import Settings
from controller.storage import moving, runs
from controller.storage.schema import migrations
from controller.storage.schema_samples import BEFORE
from controller.storage.sqlite import Database
from controller.storage.store import Store
from controller.telemetry import history
from tests.controlling import controller

T0 = 1_790_000_000.0

SCHEMAS = {
    "m001_fleet": "b5a2b343bc5d",
    "m002_deployments": "1f974484ff72",
    "m003_events": "2803d9a5dbc8",
    "m004_ledger": "bddf4bd998e4",
    "m005_jobs": "6b8dd41f4ee1",
    "m006_rollouts": "f40e28d7dd88",
    "m007_log": "af2f48f424d2",
    "m008_answers": "236f1b66fb62",
    "m014_places": "6c4c1d7bfd89",
    "m016_lists": "6678465f0db7",
    "m017_samples": "5717d85fc7bf",
    "m018_counts": "75102780724c",
    "m019_runs": "ba2692527d13",
}
"""What each step left behind, as a digest: a step that somebody's database has taken is never edited."""

DEPLOYMENT = {
    "id": "d1",
    "command_id": "d1",
    "device_id": "pi5-1",
    "model": "digits_mlp",
    "origin": "cli",
    "created_at": T0,
    "since": T0 + 9,
    "news_at": T0 + 9,
    "deadline_at": T0 + 600,
    "phase": "succeeded",
    "gen": 1,
    "attempt": 1,
    "seq": 9,
}
"""As the first version wrote it; every field since has a default."""

ROWS = {
    "m001_fleet": {
        "devices": {
            "id": "pi5-1",
            "registered_at": T0,
            "approved": 1,
            "online": 1,
            "session": "s1",
            "status_at": T0,
            "gaps": 2,
            "gen": 1,
            "info": '{"device_type":"raspberry_pi_5","formats":["onnx"],"ip":"192.0.2.7"}',
            "status": '{"v":1,"online":true,"session":"s1"}',
            "state": '{"rev":3,"session":"s1","phase":"running","gen":1}',
        },
        "telemetry": {"device_id": "pi5-1", "ts": T0, "session": "s1", "seq": 1, "received_at": T0, "energy_mj": 7.5},
    },
    "m002_deployments": {
        "deployments": {
            **{name: DEPLOYMENT[name] for name in ("id", "device_id", "command_id", "model", "phase", "created_at")},
            "open": 0,
            "document": json.dumps(DEPLOYMENT),
        },
        "commands": {"id": "c1", "device_id": "pi5-1", "op": "ping", "origin": "cli", "created_at": T0},
        "measurements": {"device_id": "pi5-1", "model": "digits_mlp", "energy_mj": 7.5, "source": "ina3221", "at": T0},
    },
    "m003_events": {
        "events": {
            "at": T0,
            "kind": "predictor",
            "who": "controller",
            "device_id": "pi5-1",
            "text": "another answers",
            "facts": '{"answers":"abc"}',
        },
        "counters": {"name": "malformed", "value": 3},
    },
    "m004_ledger": {
        "ledger": {
            "device_id": "pi5-1",
            "device_type": "raspberry_pi_5",
            "model": "digits_mlp",
            "simulated": 0,
            "predicted_mj": 7.0,
            "actual_mj": 7.5,
            "source": "ina3221",
            "predictor": "raspberry_pi_5@1",
            "at": T0,
        }
    },
    "m008_answers": {"answers": {"key": "k", "fingerprint": "f", "at": T0, "status": 202, "body": b"{}"}},
}


def apply_up_to(connection, step):
    """Take `step` and all before it, as the program of that time did."""
    later = migrations.names[migrations.names.index(step) + 1 :]
    migrations.apply(Database(connection), stop_before=later[0] if later else None)


def old(path, step):
    """Make a database as a program that knew steps up to `step` left it, with a row in what it had."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        apply_up_to(connection, step)
        for since, tables in ROWS.items():
            for table, row in tables.items() if since <= step else ():
                names = ", ".join(row)
                places = ", ".join("?" * len(row))
                connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", list(row.values()))
        connection.commit()


def contents(path):
    with closing(sqlite3.connect(path)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        connection.row_factory = sqlite3.Row
        found = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in tables if name[0] != "_"}
    return {name: [dict(row) for row in rows] for name, rows in found.items()}


def without_later_columns(rows, before):
    return [{name: row[name] for name in old} for row, old in zip(rows, before, strict=True)]


def copies(folder):
    return sorted(path.name for path in folder.glob("controller.db.*"))


@pytest.mark.parametrize("step", SCHEMAS)
def test_a_step_that_databases_have_taken_is_never_edited(step):
    with closing(sqlite3.connect(":memory:")) as connection:
        apply_up_to(connection, step)
        made = [sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL ORDER BY name")]

    assert hashlib.sha256("\n".join(made).encode()).hexdigest()[:12] == SCHEMAS[step]


@pytest.mark.parametrize("step", [step for step in SCHEMAS if step < "m016"])
def test_a_database_of_any_earlier_schema_keeps_what_is_in_it(tmp_path, step):
    path = tmp_path / "controller.db"
    old(path, step)
    before = contents(path)

    store = Store(path)
    deployments, devices = Deployments(store).find(), store.devices()
    _, buckets = history.read_buckets(store, "pi5-1", since=T0 - 60, until=T0 + 60, points=10)
    measured, answers = Measurements(store).all(), store.remembered("predictor")
    store.close()

    after = contents(path)
    assert {table: without_later_columns(after[table], before[table]) for table in before} == before
    assert [(row["id"], row["info"]["device_type"]) for row in devices] == [("pi5-1", "raspberry_pi_5")]
    assert [(row["device_type"], row["ip"], row["words"]) for row in devices] == [
        ("raspberry_pi_5", "192.0.2.7", "pi5-1\nraspberry_pi_5")
    ]
    assert [(bucket["samples"], bucket["charging_share"]) for bucket in buckets] == [(1, None)]
    assert [(each.id, each.phase) for each in deployments] == ([("d1", Phase.SUCCEEDED)] if step >= "m002" else [])
    assert len(measured) == (step >= "m002")
    assert answers == ("abc" if "m003" <= step < "m007" else None)


@pytest.mark.parametrize("step", ["m001_fleet", "m008_answers"])
async def test_over_rest_an_upgraded_database_is_as_usable_as_a_new_one(tmp_path, step):
    old(tmp_path / "controller.db", step)

    async with controller(tmp_path, listed={}) as running:
        devices = (await running.get("/api/devices"))["devices"]
        deployments = (await running.get("/api/deployments"))["deployments"]
        exported = await running.get("/api/logs/export", format="json")
        async with running.joined("pi5-2") as joined:
            asked = (await running.deploy(device_id="pi5-2", model_name="digits_mlp")).json()
            await joined.next_command("deploy")

    assert [(device["id"], device["device_type"]) for device in devices] == [("pi5-1", "raspberry_pi_5")]
    assert [each["id"] for each in deployments] == (["d1"] if step >= "m002" else [])
    assert ("another answers" in [event["text"] for event in exported["logs"]]) == (step >= "m003")
    assert asked["success"]


def test_before_an_upgrade_the_database_is_copied_and_that_is_told(tmp_path):
    old(tmp_path / "controller.db", "m005_jobs")
    before = contents(tmp_path / "controller.db")

    store = Store(tmp_path / "controller.db")
    lives.begin(store, Settings(data=tmp_path), "0.2.0", T0)
    said = store.events(oldest_first=True)
    store.close()
    Store(tmp_path / "controller.db").close()

    [copy] = copies(tmp_path)
    assert contents(tmp_path / copy) == before
    told = [event["text"] for event in said if "the database was upgraded" in event["text"]]
    assert len(told) == 1
    assert "m006_rollouts, m007_log, m008_answers" in told[0]
    assert copy in told[0]


def test_of_the_copies_the_newest_two_stay(tmp_path):
    for stamp in ("20250101T000000Z", "20250102T000000Z", "20250103T000000Z"):
        (tmp_path / f"controller.db.{stamp}.m001").write_text("old")
    (tmp_path / "controller.db.mine").write_text("mine")
    old(tmp_path / "controller.db", "m005_jobs")

    Store(tmp_path / "controller.db").close()

    kept = copies(tmp_path)
    assert len(kept) == 3
    assert kept[0] == "controller.db.20250103T000000Z.m001"
    assert kept[1].endswith(".m005")
    assert kept[2] == "controller.db.mine"


def test_a_new_database_is_no_upgrade(tmp_path):
    store = Store(tmp_path / "controller.db")

    assert store.upgraded is None
    assert copies(tmp_path) == []
    store.close()


def test_a_database_of_a_newer_program_is_refused_with_both_versions_and_left_as_it_is(tmp_path):
    path = tmp_path / "controller.db"
    store = Store(path)
    lives.begin(store, Settings(data=tmp_path), "9.1.0", T0)
    store.connection.execute(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('edgewatt', 'm999_future', '')"
    )
    store.connection.execute("PRAGMA journal_mode=DELETE")
    store.close()
    before = path.read_bytes()

    with pytest.raises(StorageError) as refused:
        Store(path)

    assert refused.value.code == "newer_database"
    assert "was upgraded by EdgeWatt 9.1.0 (step m999_future)" in refused.value.message
    assert migrations.names[-1] in refused.value.message
    assert "newer" in refused.value.hint
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["controller.db"]


FULL = (
    "import resource, sys; from pathlib import Path; from broker.errors import StorageError\n"
    "from controller.storage.store import Store\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
    "try: Store(Path(sys.argv[1]))\n"
    "except StorageError as error: print(error.message, error.hint)\n"
)


def test_without_room_for_the_copy_nothing_is_upgraded(tmp_path):
    path = tmp_path / "controller.db"
    old(path, "m005_jobs")
    before = contents(path)

    argv = [sys.executable, "-c", FULL, str(path)]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    assert "has to be upgraded, and a copy of it cannot be written first" in said
    assert "free 0.2 MB in" in said
    assert contents(path) == before
    assert copies(tmp_path) == []


def test_a_step_that_fails_leaves_the_database_as_the_step_before_left_it(tmp_path):
    path = tmp_path / "controller.db"
    old(path, "m006_rollouts")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE remembered (in_the_way TEXT)")

    with pytest.raises(StorageError, match="already exists"):
        Store(path)

    with closing(sqlite3.connect(path)) as connection:
        newest = connection.execute("SELECT max(name) FROM _sqlite_migrations").fetchone()
        indexes = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'idx_events_who'").fetchone()
    assert (newest, indexes) == (("m006_rollouts",), (0,))
    assert len(copies(tmp_path)) == 1


def test_numbers_of_samples_become_runs(tmp_path):
    path = tmp_path / "controller.db"
    old(path, "m017_samples")
    with closing(sqlite3.connect(path)) as connection:
        for own, (session, seq) in enumerate([("s1", 1), ("s1", 2), ("s2", 2), ("s1", 5), ("s1", 4)], start=2):
            given = [own, "pi5-2", session, seq]
            columns = "id, device_id, session, seq, ts"
            connection.execute(f"INSERT INTO telemetry ({columns}) VALUES (?, ?, ?, ?, ?)", [*given, float(own)])
            connection.execute(
                "INSERT INTO telemetry_keys (sample, device_id, session, seq) VALUES (?, ?, ?, ?)", given
            )
        connection.commit()

    store = Store(path)

    rows = store.query("SELECT session, low, high, until FROM telemetry_runs WHERE device_id = 'pi5-2' ORDER BY 1, 2")
    assert [tuple(row.values()) for row in rows] == [("s1", 1, 2, 3.0), ("s1", 4, 5, 6.0), ("s2", 2, 2, 4.0)]
    store.close()


def test_samples_are_taken_over_piece_by_piece_and_a_kill_in_between_loses_none(tmp_path, monkeypatch):
    path, told = tmp_path / "controller.db", []
    old(path, "m016_lists")
    with closing(sqlite3.connect(path)) as connection:
        for seq in range(2, 11):
            row = ROWS["m001_fleet"]["telemetry"] | {"ts": T0 + seq, "seq": seq, "energy_mj": float(seq)}
            connection.execute(
                f"INSERT INTO telemetry ({', '.join(row)}) VALUES (?, ?, ?, ?, ?, ?)", list(row.values())
            )
        connection.commit()
    monkeypatch.setattr(moving, "AT_ONCE", 3)

    def killed_after_the_second(message, *values):
        told.append(message % values)
        if len(told) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(moving.logger, "info", killed_after_the_second)
        Store(path)
    store = Store(path)

    rows = store.query("SELECT device_id, session, seq, ts, energy_mj FROM samples ORDER BY ts")
    assert [(row["seq"], row["ts"], row["energy_mj"]) for row in rows] == [
        (seq, T0 + (seq if seq > 1 else 0), 7.5 if seq == 1 else float(seq)) for seq in range(1, 11)
    ]
    known = runs.touched(store.connection, ("pi5-1", "s1"), 1, 10)
    assert [(run.low, run.high, run.until) for run in runs.joined(known)] == [(1, 10, T0 + 10)]
    assert BEFORE not in contents(path)
    assert told == ["samples are taken over: 30 %", "samples are taken over: 60 %"]
    store.close()
