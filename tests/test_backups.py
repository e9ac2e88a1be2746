"""Backups: whole or not there, whoever writes meanwhile and wherever they are cut off; nothing is lost on the way."""

import grp
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest

from broker.errors import ArtifactError, ConflictError, NotFoundError, StorageError
from controller.backups import restoring, taking
from controller.cli.app import run
from controller.inuse import working_in
from controller.models.store import ArtifactStore
from controller.storage.schema import migrations
from controller.storage.store import Store
from tests.dying_backup import attempt

T0 = 1_800_000_000.0
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
MODEL = b"weights of a model " * 5_000


@pytest.fixture
def data(tmp_path):
    """A controller's data folder with a bit of everything in it."""
    folder = tmp_path / "data"
    store = Store(folder / "controller.db")
    with store.transaction():
        for number in range(20):
            store.add_device(f"pi5-{number}", T0, approved=True)
            store.add_event(T0 + number, "log", f"line {number}", device_id=f"pi5-{number}")
        store.count({"malformed": 3})
    store.close()
    ArtifactStore(folder / "artifacts").add(MODEL, model="tiny")
    for name, text in {
        "predictors/active": "{}",
        "archives/events-20260101T000000Z-1-2-2.jsonl.gz": "old",
        "security/ca.key": "secret",
        "security/mqtt/mosquitto_pub": "-u operator",
        "workshop/half/out": "half",
        "uploads/incoming/x/m.onnx": "half",
        "uploads/weights/w.safetensors": "weights",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "security/ca.key").chmod(0o600)
    return folder


def take(data, out, **more):
    return taking.take(data, out, version="0.1.0", at=more.pop("at", T0), **more)


def restore(file, data, **more):
    return restoring.restore(file, data, steps=more.pop("steps", migrations.names), at=more.pop("at", T0 + 60), **more)


def devices(data):
    store = Store(data / "controller.db")
    try:
        return [row["id"] for row in store.devices()]
    finally:
        store.close()


def tree(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def left_over(folder):
    return [path.name for path in folder.glob(".edgewatt-*")]


def test_what_was_backed_up_comes_back_whole(data, tmp_path):
    made = take(data, tmp_path / "b.tar")
    restored = restore(tmp_path / "b.tar", tmp_path / "new")

    store = Store(tmp_path / "new/controller.db")
    assert len(store.devices()) == 20
    assert [row["text"] for row in store.events(limit=1)] == ["line 19"]
    assert store.counters() == {"malformed": 3}
    store.close()
    artifacts = ArtifactStore(tmp_path / "new/artifacts")
    assert artifacts.path(artifacts.find("tiny").sha256).read_bytes() == MODEL
    assert (tmp_path / "new/predictors/active").read_text() == "{}"
    assert (tmp_path / "new/uploads/weights/w.safetensors").exists()
    assert made.manifest == restored.manifest
    assert made.manifest.counts == {"devices": 20, "deployments": 0, "events": 20, "rollouts": 0, "telemetry": 0}
    assert left_over(tmp_path) == []


def test_half_made_things_stay_out_and_secrets_go_only_where_they_are_asked_for(data, tmp_path):
    without = take(data, tmp_path / "b.tar").manifest
    with_secrets = take(data, tmp_path / "s.tar", secrets=data / "security").manifest

    names = {entry.name for entry in without.files}
    assert not [name for name in names if name.startswith(("workshop/", "uploads/incoming", "security/"))]
    assert {entry.name for entry in with_secrets.files} - names == {"security/ca.key", "security/mqtt/mosquitto_pub"}
    assert (tmp_path / "s.tar").stat().st_mode & 0o777 == 0o600
    restore(tmp_path / "s.tar", tmp_path / "new")
    assert (tmp_path / "new/security/ca.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "new/security").stat().st_mode & 0o777 == 0o710


@AS_ROOT
def test_the_group_that_reads_secrets_still_reads_them_when_root_restores(data, tmp_path):
    for path in (data, data / "security", data / "security/ca.key"):
        os.chown(path, 12_345, grp.getgrnam("daemon").gr_gid)
    take(data, tmp_path / "s.tar", secrets=data / "security")
    os.chown(data, 12_345, 12_345)

    for backup in ("s.tar", "b.tar"):
        take(data, tmp_path / "b.tar") if backup == "b.tar" else None
        restored = restore(tmp_path / backup, data, force=True, at=T0 + len(backup) + ord(backup[0]))
        key = (restored.data / "security/ca.key").stat()
        assert (key.st_uid, key.st_gid, key.st_mode & 0o777) == (12_345, grp.getgrnam("daemon").gr_gid, 0o600)


def test_a_restore_without_secrets_keeps_those_that_are_in_the_folder(data, tmp_path):
    take(data, tmp_path / "b.tar")

    restored = restore(tmp_path / "b.tar", data, force=True)

    assert restored.security == "folder"
    assert (data / "security/ca.key").read_text() == "secret"


def test_a_backup_taken_while_somebody_writes_is_of_one_moment(data, tmp_path):
    store, stop = Store(data / "controller.db"), threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            with store.transaction():
                store.add_device(f"a-{number}", T0, approved=True)
                store.add_event(T0, "log", "x" * 500, device_id=f"a-{number}")
            number += 1

    writing = threading.Thread(target=write)
    writing.start()
    try:
        backups = [take(data, tmp_path / f"{number}.tar") for number in range(3)]
    finally:
        stop.set()
        writing.join()
        store.close()

    for number, made in enumerate(backups):
        counts = made.manifest.counts
        assert counts["devices"] == counts["events"]
        restore(made.path, tmp_path / f"new-{number}")
        assert len(devices(tmp_path / f"new-{number}")) == counts["devices"]


def test_a_backup_that_is_compressed_is_read_like_any_other(data, tmp_path):
    plain, packed = take(data, tmp_path / "b.tar"), take(data, tmp_path / "b.tar.gz")

    assert packed.size < plain.size
    assert restoring.check(packed.path).files == plain.manifest.files


@pytest.mark.parametrize("name", ["b.tar", "b.tar.gz"])
def test_a_file_that_is_cut_off_anywhere_is_refused_and_nothing_is_touched(data, tmp_path, name):
    whole = take(data, tmp_path / name).path.read_bytes()
    before = tree(data)
    cut = tmp_path / "cut"
    for share in (0.0, 0.01, 0.2, 0.5, 0.9, 0.97):
        cut.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ArtifactError, match=r"no whole backup|no backup"):
            restore(cut, data, force=True)

    assert tree(data).items() - {("controller.lock", b"")} <= before.items()
    assert left_over(tmp_path) == []


def test_a_bit_that_flipped_is_found_and_named(data, tmp_path):
    made = take(data, tmp_path / "b.tar")
    damaged = made.path.read_bytes().replace(MODEL[:100], MODEL[:99] + b"!", 1)
    (tmp_path / "d.tar").write_bytes(damaged)

    with pytest.raises(ArtifactError, match=r"artifacts/sha256/\w+ is not what was backed up"):
        restore(tmp_path / "d.tar", tmp_path / "new")

    assert not (tmp_path / "new").exists()


def write_tar(path, **files):
    (path.parent / "content").write_text("x")
    with tarfile.open(path, "w") as tar:
        for name in files.values():
            tar.add(path.parent / "content", arcname=name)
    return path


def test_files_that_are_no_backup_are_refused_in_a_sentence(tmp_path):
    (tmp_path / "text").write_text("hello " * 1_000)
    others = {
        tmp_path / "text": "not a tar file",
        write_tar(tmp_path / "foreign.tar", a="etc/passwd"): "it holds etc/passwd",
        write_tar(tmp_path / "escaping.tar", a="data/../../evil"): "it holds data/../../evil",
        write_tar(tmp_path / "empty-names.tar", a="data/"): "it holds data/",
    }
    for file, says in others.items():
        with pytest.raises(ArtifactError, match=says):
            restore(file, tmp_path / "new")
    with pytest.raises(NotFoundError, match="there is no"):
        restore(tmp_path / "none.tar", tmp_path / "new")

    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "evil").exists()


def test_a_backup_of_a_newer_edgewatt_is_refused(data, tmp_path):
    take(data, tmp_path / "b.tar")

    with pytest.raises(ArtifactError, match=r"EdgeWatt 0\.1\.0, which is newer: its database has the step m"):
        restore(tmp_path / "b.tar", tmp_path / "new", steps=migrations.names[:3])


def test_a_folder_with_data_is_replaced_only_by_force_and_then_kept_beside(data, tmp_path):
    take(data, tmp_path / "b.tar")
    (data / "controller.db").write_bytes(b"destroyed")
    data.chmod(0o750)

    with pytest.raises(ConflictError, match="is not empty"):
        restore(tmp_path / "b.tar", data)
    restored = restore(tmp_path / "b.tar", data, force=True)

    assert len(devices(data)) == 20
    assert data.stat().st_mode & 0o777 == 0o750
    assert (restored.before / "controller.db").read_bytes() == b"destroyed"
    assert restored.before.parent == data.parent


def test_where_a_controller_runs_nothing_is_restored(data, tmp_path):
    take(data, tmp_path / "b.tar")

    with working_in(data), working_in(data), pytest.raises(ConflictError, match="a controller runs on"):
        restore(tmp_path / "b.tar", data, force=True)

    restore(tmp_path / "b.tar", data, force=True)


def test_a_mount_point_cannot_be_replaced_and_that_is_said(data, tmp_path):
    take(data, tmp_path / "b.tar")

    with pytest.raises(ConflictError, match="/proc is a mount point"):
        restore(tmp_path / "b.tar", Path("/proc"), force=True)


def test_a_damaged_database_is_not_backed_up_over_the_good_ones(data, tmp_path):
    pages = sqlite3.connect(data / "controller.db")
    pages.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    pages.close()
    with (data / "controller.db").open("r+b") as file:
        file.seek(4096 * 10)
        file.write(b"\xff" * 4096 * 30)

    with pytest.raises(StorageError, match=r"damaged|malformed"):
        take(data, tmp_path / "b.tar")

    assert not (tmp_path / "b.tar").exists()


def test_where_there_is_nothing_to_back_up_the_folder_is_named(data, tmp_path):
    (tmp_path / "up").mkdir()
    shutil.move(data, tmp_path / "up/controller")

    with pytest.raises(NotFoundError) as refused:
        take(tmp_path / "up", tmp_path / "b.tar")

    assert refused.value.hint.endswith(f"--data {tmp_path}/up/controller")


def test_with_the_database_in_postgresql_the_rest_is_backed_up(data, tmp_path):
    (data / "controller.db").unlink()

    made = take(data, tmp_path / "b.tar", elsewhere=True)
    restore(made.path, tmp_path / "new")

    assert (made.manifest.database, made.manifest.models) == ("elsewhere", 1)
    assert not (tmp_path / "new/controller.db").exists()


def test_the_command_line_says_that_pg_dump_is_for_the_database(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EDGEWATT_DATABASE", "postgresql://edgewatt@db.example.org/edgewatt")

    assert run(["backup", "--data", str(data), "--out", str(tmp_path / "b.tar")]) == 0

    assert "the database is in PostgreSQL and not in this file: back it up with pg_dump" in capsys.readouterr().err


def test_secrets_that_are_asked_for_and_not_there_are_missed(data, tmp_path):
    with pytest.raises(NotFoundError, match="no keys and passwords in"):
        take(data, tmp_path / "b.tar", secrets=tmp_path / "none")


def test_a_folder_keeps_the_newest_backups_and_whatever_is_not_ours(data, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/edgewatt-before-the-move.tar").write_text("mine")
    made = [take(data, tmp_path / "kept", at=T0 + day * 86_400, keep=2) for day in range(4)]

    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == [
        made[2].path.name,
        made[3].path.name,
        "edgewatt-before-the-move.tar",
    ]
    assert made[3].removed == (made[1].path.name,)


def test_a_file_that_exists_is_not_overwritten(data, tmp_path):
    (tmp_path / "b.tar").write_text("mine")

    with pytest.raises(ConflictError, match="exists"):
        take(data, tmp_path / "b.tar")

    assert (tmp_path / "b.tar").read_text() == "mine"


def test_a_disk_that_is_too_small_is_said_with_figures_before_anything_is_written(data, tmp_path, monkeypatch):
    take(data, tmp_path / "b.tar")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1_000, 1_000, 0))

    with pytest.raises(StorageError, match=r"needs \d+ MB for a moment, and .* has 0 MB free"):
        take(data, tmp_path / "c.tar")
    with pytest.raises(StorageError, match=r"needs \d+ MB, and .* has 0 MB free"):
        restore(tmp_path / "b.tar", tmp_path / "new")


SMALL_DISK = """\
import resource, sys, json
from pathlib import Path
from broker.errors import EdgeWattError
from controller.backups import restoring, taking
from controller.storage.schema import migrations
what, data, file, most = sys.argv[1:]
steps = migrations.names
resource.setrlimit(resource.RLIMIT_FSIZE, (int(most), resource.RLIM_INFINITY))
try:
    if what == "backup":
        taking.take(Path(data), Path(file), version="0.1.0", at=1.0)
    else:
        restoring.restore(Path(file), Path(data), steps=steps, at=1.0, force=True)
except EdgeWattError as error:
    print(error.message)
"""


def test_a_disk_that_refuses_in_the_middle_leaves_nothing_behind(data, tmp_path):
    take(data, tmp_path / "b.tar")
    before = tree(data)

    def small(what, file):
        argv = [sys.executable, "-c", SMALL_DISK, what, str(data), str(tmp_path / file), "150000"]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    assert "cannot be copied" in (said := small("backup", "c.tar")) or "cannot write to" in said
    assert "cannot write to" in small("restore", "b.tar")

    assert not (tmp_path / "c.tar").exists()
    assert left_over(tmp_path) == []
    assert tree(data).items() - {("controller.lock", b"")} <= before.items()


@pytest.mark.parametrize("what", ["backup", "restore"])
def test_killed_at_any_moment_there_is_the_old_or_the_new_and_the_next_run_tidies_up(data, tmp_path, what):
    take(data, tmp_path / "good.tar")
    if what == "restore":
        store = Store(data / "controller.db")
        store.add_device("newer", T0, approved=True)
        store.close()

    def tried(folder, calls):
        shutil.copytree(data, folder / "data")
        file = folder / "b.tar" if what == "backup" else tmp_path / "good.tar"
        code, made = attempt(what, folder / "data", file, calls)
        if file.exists():
            restoring.check(file)
        names = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
        assert folder / "data" in names
        assert {len(devices(name)) for name in names} <= {20, 21}
        return code, made

    code, calls = tried(tmp_path / "whole", -1)
    assert code == 0
    for moment in (0, 1, calls // 4, calls // 2, calls - 3, calls - 2, calls - 1):
        folder = tmp_path / f"try-{moment}"
        assert tried(folder, moment) == (-signal.SIGKILL, moment)
        take(folder / "data", folder / "after.tar")
        restore(folder / "after.tar", folder / "restored")
        assert left_over(folder) == []


def test_the_command_line_says_what_it_did_and_in_json_too(data, tmp_path, capsys):
    assert run(["backup", "--data", str(data), "--out", str(tmp_path / "b.tar"), "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert run(["backup", "--data", str(data), "--out", str(tmp_path / "c.tar")]) == 0
    told = capsys.readouterr().err
    assert run(["restore", str(tmp_path / "b.tar"), "--dry-run"]) == 0
    checked = capsys.readouterr().err
    assert run(["restore", str(tmp_path / "b.tar"), "--data", str(data), "--json"]) == 1
    refused = json.loads(capsys.readouterr().err)
    assert run(["restore", str(tmp_path / "b.tar"), "--data", str(data), "--force"]) == 0
    restored = capsys.readouterr().err

    assert (made["counts"]["devices"], made["models"], made["secrets"]) == (20, 1, False)
    assert "20 devices, 0 deployments, 20 events, 1 model files" in told
    assert "keys and passwords are not in it (--with-secrets)" in told
    assert "b.tar is whole" in checked
    assert refused["code"] == "not_empty"
    assert f"what was there before is in {data}.before-" in restored


@AS_ROOT
def test_restored_by_root_the_files_belong_to_who_owned_the_folder(data, tmp_path):
    take(data, tmp_path / "b.tar")
    os.chown(data, 12_345, 12_345)

    restore(tmp_path / "b.tar", data, force=True)

    assert {path.stat().st_uid for path in (data, *data.rglob("*"))} == {12_345}


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_cannot_be_read_is_named(data, tmp_path):
    (data / "predictors/active").chmod(0)

    with pytest.raises(StorageError, match=r"cannot read .*predictors/active"):
        take(data, tmp_path / "b.tar")
