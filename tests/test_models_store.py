"""Files are kept whole, found by model and format, and never offered when damaged."""

import errno
import hashlib
import json
import os
import threading

import pytest

from broker.errors import ArtifactError, NotFoundError, StorageError
from controller.models.manifest import About, Golden
from controller.models.store import ArtifactStore

CONTENT = b"weights" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path)


def files(root):
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


def test_what_was_added_is_found_by_model_and_read_by_digest(store, tmp_path):
    (tmp_path / "net.onnx").write_bytes(CONTENT)
    artifact = store.add(tmp_path / "net.onnx", model="net")

    assert (artifact.sha256, artifact.size, artifact.format) == (DIGEST, len(CONTENT), "onnx")
    assert store.find("net") == store.manifest(DIGEST) == artifact
    assert store.path(DIGEST).read_bytes() == CONTENT
    assert store.verify(DIGEST)


def test_what_its_maker_says_of_an_artifact_is_kept_and_outlives_a_second_name(store, tmp_path):
    golden = Golden(against="torch 2.13.0", inputs=8, max_abs=1e-5, cosine=0.9999, top1_agreement=1.0)
    about = About(variant="int8", opset=17, ir_version=8, made_by={"torch": "2.13.0"}, golden=golden, licence="MIT")
    store.add(CONTENT, model="net-int8", about=about)
    store.add(CONTENT, model="alias")

    assert ArtifactStore(tmp_path).manifest(DIGEST).about == about


def test_a_manifest_of_an_older_version_and_one_of_a_newer_are_read(store, tmp_path):
    store.add(CONTENT, model="net")
    old = {"sha256": DIGEST, "size": len(CONTENT), "format": "onnx", "models": ["net"], "created_at": 5.0}
    for document in (old, old | {"of_tomorrow": True}):
        (tmp_path / "manifests" / f"{DIGEST}.json").write_text(json.dumps(document))
        artifact = ArtifactStore(tmp_path).find("net")

        assert (artifact.created_at, artifact.about, artifact.deployed_at) == (5.0, About(), None)


def test_a_rollout_that_tells_many_devices_notes_it_once_a_minute(store):
    store.add(CONTENT, model="net")
    noted = []
    for at in (100.0, 130.0, 161.0):
        store.deployed(DIGEST, at)
        noted.append(store.manifest(DIGEST).deployed_at)

    assert noted == [100.0, 100.0, 161.0]


def test_a_second_process_sees_the_same(store, tmp_path):
    store.add(CONTENT, model="net")

    assert ArtifactStore(tmp_path).find("net").sha256 == DIGEST


def test_the_same_content_is_kept_once_under_both_names(store, tmp_path):
    store.add(CONTENT, model="net")
    store.add(CONTENT, model="alias")

    assert store.manifest(DIGEST).models == ("net", "alias")
    assert files(tmp_path) == [f"manifests/{DIGEST}.json", f"sha256/{DIGEST}"]


def test_the_newest_artifact_of_a_model_is_offered(store):
    store.add(b"old", model="net")
    newest = store.add(b"new", model="net")

    assert store.find("net") == newest


def test_formats_are_offered_in_the_order_asked_for(store):
    onnx = store.add(b"onnx", model="net")
    tflite = store.add(b"tflite", model="net", format="tflite")

    assert store.find("net", ("tflite", "onnx")) == tflite
    assert store.find("net", ("onnx", "tflite")) == onnx
    assert store.find("net", ("rknn",)) is None
    assert store.find("other") is None


def test_a_damaged_file_is_not_offered_until_it_is_added_again(store, tmp_path):
    store.add(CONTENT, model="net")
    assert store.find("net") is not None
    (tmp_path / "sha256" / DIGEST).write_bytes(CONTENT[:-1] + b"X")

    assert not store.verify(DIGEST)
    assert store.find("net") is None
    with pytest.raises(ArtifactError, match="damaged"):
        store.path(DIGEST)

    store.add(CONTENT, model="net")
    assert store.find("net").sha256 == DIGEST


def test_an_older_sound_artifact_stands_in_for_a_damaged_one(store, tmp_path):
    old = store.add(b"old", model="net")
    new = store.add(b"new", model="net")
    (tmp_path / "sha256" / new.sha256).write_bytes(b"")

    assert store.find("net") == old


@pytest.mark.parametrize("digest", ["../../etc/passwd", "", "AB" * 32, "0" * 64, "0" * 63])
def test_what_is_not_a_known_digest_is_not_found(store, digest):
    for question in (store.path, store.manifest):
        with pytest.raises(NotFoundError):
            question(digest)


def test_a_missing_or_empty_source_is_refused_and_nothing_is_left(store, tmp_path):
    for source in (tmp_path / "none.onnx", b""):
        with pytest.raises(ArtifactError):
            store.add(source, model="net")

    assert files(tmp_path) == []


def test_a_full_disk_is_said_and_nothing_is_left(store, tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="disk is full"):
        store.add(CONTENT, model="net")

    assert files(tmp_path) == []


def test_a_full_disk_does_not_stop_a_deployment_from_being_noted(store, monkeypatch, caplog):
    store.add(CONTENT, model="net")

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    store.deployed(DIGEST, 5.0)

    assert store.manifest(DIGEST).deployed_at is None
    assert "is not noted" in caplog.text


def test_an_evicted_artifact_is_named_without_bytes_until_it_is_added_again(store):
    store.add(CONTENT, model="net")
    with store.open(DIGEST) as reading:
        store.evict(DIGEST, 5.0)
        rest = reading.read()

    assert (store.all(), [a.evicted_at for a in store.evicted()], rest) == ([], [5.0], CONTENT)
    with pytest.raises(NotFoundError):
        store.path(DIGEST)
    assert store.add(CONTENT, model="net").evicted_at is None
    assert store.find("net").sha256 == DIGEST


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(StorageError, match="cannot write"):
        ArtifactStore(tmp_path / "file")


@pytest.mark.usefixtures("store")
def test_leftovers_of_a_dead_writer_go_away_and_those_of_a_living_one_stay(tmp_path):
    for name, age_s in (("dead", 7_200), ("alive", 0)):
        path = tmp_path / "incoming" / name
        path.touch()
        os.utime(path, (path.stat().st_mtime - age_s,) * 2)

    assert ArtifactStore(tmp_path).all() == []
    assert files(tmp_path) == ["incoming/alive"]


def test_a_manifest_that_cannot_be_read_is_left_out(store, tmp_path):
    store.add(CONTENT, model="net")
    (tmp_path / "manifests" / f"{'0' * 64}.json").write_text("{half")

    assert [a.sha256 for a in store.all()] == [DIGEST]


def test_a_reader_never_sees_part_of_a_file(store, tmp_path):
    large = os.urandom(8 << 20)
    seen = set()
    done = threading.Event()

    def watch():
        while not done.is_set():
            seen.update(p.stat().st_size for p in (tmp_path / "sha256").iterdir())

    watcher = threading.Thread(target=watch)
    watcher.start()
    store.add(large, model="net")
    done.set()
    watcher.join()

    assert seen <= {len(large)}
