"""The store keeps what the fleet needs, gives up what can be made again, and says where a model is in use."""

import errno
import os
from dataclasses import replace

import pytest

from broker.errors import StorageError
from broker.messages import ActiveModel
from controller.models.manifest import About
from tests.controlling import controller

MADE = About(made_by={"torch": "2.13.0"})
SHIPPED = "digits_mlp"


@pytest.fixture
async def running(tmp_path):
    async with controller(tmp_path) as whole:
        yield whole


def made(running, name, *, at, size=1_000_000):
    """A file of the workshop, made and last told to a device at `at`."""
    store = running.parts.service.artifacts
    artifact = store.add(os.urandom(size), model=name, about=MADE)
    store._write_manifest(replace(artifact, created_at=at, deployed_at=at))
    return artifact.sha256


def left(running):
    return {artifact.sha256 for artifact in running.parts.service.artifacts.all()}


def pass_time(running, *, quota_mb=None, seconds=1_000):
    """Have the quota be `quota_mb`, and `seconds` be over."""
    keeping = running.parts.keeping
    keeping.quota_mb = quota_mb or keeping.quota_mb
    with running.parts.service.store.transaction():
        keeping.tick(running.parts.clock() + seconds)


def stays_mb(running):
    """What is in the store for good, MB."""
    return sum(a.size for a in running.parts.service.artifacts.all() if not a.about.made_by) / 1e6


async def test_what_was_deployed_longest_ago_leaves_first_and_is_said(running):
    old, new = made(running, "resnet18", at=1), made(running, "resnet34", at=2)
    pass_time(running, quota_mb=stays_mb(running) + 1.5)
    events = (await running.get("/api/logs", type="storage"))["logs"]

    assert (old in left(running), new in left(running)) == (False, True)
    assert [event["text"] for event in events] == ["resnet18 (onnx, 1.0 MB) left the store to make room"]
    assert not running.parts.catalogue.get("resnet18").stored


async def test_what_a_device_runs_falls_back_on_or_is_to_get_is_never_touched(running):
    names = ("resnet18", "resnet34", "resnet10t")
    active, previous, wanted = (made(running, name, at=number) for number, name in enumerate(names))
    spare = made(running, "resnet18d", at=100)
    async with running.joined() as device:
        slot = {"runtime": "onnxruntime"}
        await device.report(
            active=ActiveModel(model="resnet18", artifact_sha256=active, **slot),
            previous=ActiveModel(model="resnet34", artifact_sha256=previous, **slot),
        )
        running.parts.service.store.put_device("pi5-1", desired={"deploy": {"artifact": {"sha256": wanted}}})

        async def reported():
            return len(running.parts.keeping.uses()) == 3

        await running.until(reported)
        pass_time(running, quota_mb=stays_mb(running) + 0.1)

    assert {active, previous, wanted} <= left(running)
    assert spare not in left(running)


async def test_an_open_deployment_keeps_its_artifact(running):
    async with running.joined() as device:
        await running.deploy(device_id="pi5-1", model_name=SHIPPED)
        command = await device.next_command("deploy")

        assert "it is being deployed to pi5-1" in running.parts.keeping.uses()[command.artifact.sha256]
        assert running.parts.service.artifacts.manifest(command.artifact.sha256).deployed_at is not None


async def test_a_persons_own_file_stays_until_it_is_archived(running):
    own = running.parts.service.artifacts.add(b"mine" * 250_000, model="mine")
    pass_time(running, quota_mb=0.001)
    before = left(running)
    await running.post("/api/models/archive", model_name="mine")
    pass_time(running, seconds=2_000)

    assert own.sha256 in before
    assert own.sha256 not in left(running)
    assert (await running.http.get("/models/mine")).json()["hint"] == "its file was removed to make room; add it again"


async def test_what_was_just_made_stays_as_long_as_a_deployment_may_wait_for_it(running):
    fresh = made(running, "resnet18", at=running.parts.clock())
    pass_time(running, quota_mb=0.001, seconds=100)
    before = left(running)
    pass_time(running)

    assert (fresh in before, fresh in left(running)) == (True, False)


async def test_shipped_models_never_leave(running):
    before = left(running)
    pass_time(running, quota_mb=0.001)

    assert left(running) == before


async def test_a_full_disk_makes_room_once_and_then_says_what_holds_it(running, monkeypatch):
    spare = made(running, "resnet18", at=1)
    store, fsync = running.parts.service.artifacts, os.fsync
    failures = iter([True, False])

    def full_once(number):
        if next(failures, False):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(number)

    monkeypatch.setattr(os, "fsync", full_once)
    store.add(b"x" * 500_000, model="mine")

    def always_full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", always_full)
    with pytest.raises(
        StorageError, match=r"the disk is full, and of the \d+ artifacts .* are in use or kept"
    ) as caught:
        store.add(b"y" * 500_000, model="mine")

    assert spare not in left(running)
    assert "models archive" in caught.value.hint


async def test_an_archived_model_is_not_listed_and_not_deployed_and_comes_back(running):
    archived = (await running.post("/api/models/archive", model_name=SHIPPED)).json()
    names = [model["name"] for model in (await running.get("/api/models/all", stored=True))["models"]]
    async with running.joined():
        refused = await running.deploy(device_id="pi5-1", model_name=SHIPPED)
        await running.post("/api/models/archive", model_name=SHIPPED, undo=True)
        again = await running.deploy(device_id="pi5-1", model_name=SHIPPED, dry_run=True)

    assert archived == {"success": True, "model": SHIPPED, "archived": True}
    assert SHIPPED not in names
    assert (refused.status_code, refused.json()["code"]) == (409, "archived")
    assert again.status_code == 200


async def test_an_archived_shipped_model_stays_so_over_a_restart(tmp_path):
    async with controller(tmp_path) as first:
        await first.post("/api/models/archive", model_name=SHIPPED)
    async with controller(tmp_path) as second:
        assert SHIPPED not in [model.name for model in second.parts.catalogue.all()]


async def test_a_model_in_use_is_not_archived_and_the_places_are_named(running):
    async with running.joined():
        await running.deploy(device_id="pi5-1", model_name=SHIPPED)
        refused = (await running.post("/api/models/archive", model_name=SHIPPED)).json()

    assert (refused["success"], refused["code"]) == (False, "in_use")
    assert "pi5-1" in refused["error"]
    assert (await running.post("/api/models/archive", model_name="nobody")).status_code == 404


async def test_verifying_reads_every_byte_and_finds_the_damaged_file(running):
    sound = (await running.post("/api/models/verify", model_name=SHIPPED)).json()
    sha256 = sound["artifacts"][0]["sha256"]
    running.parts.service.artifacts.path(sha256).write_bytes(b"rust")
    damaged = (await running.post("/api/models/verify")).json()

    assert (sound["ok"], sound["artifacts"][0]["content"], sound["artifacts"][0]["signature"]) == (
        True,
        "sound",
        "none",
    )
    assert not damaged["ok"]
    assert [each["model"] for each in damaged["artifacts"] if not each["ok"]] == [SHIPPED]
    assert (await running.post("/api/models/verify", model_name="nobody")).status_code == 404
