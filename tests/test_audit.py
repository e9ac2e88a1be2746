"""Who did what, when and why: each change leaves one event with its cause."""

import json

import pytest

from broker.messages import LogLine
from broker.topics import LOG
from controller import lives
from controller.cli.app import run
from controller.introduction import changes
from controller.predict.versions import Versions
from controller.settings import Settings
from controller.stream import KEPT_LOG_LINES
from tests.controlling import controller

MODEL = "digits_cnn_s"


@pytest.fixture
async def running(tmp_path):
    async with controller(tmp_path, registration="approve") as whole:
        yield whole


async def told(running, *words, **asked):
    """Return the newest event in which all words occur, once there is one."""
    found = []

    async def there():
        found[:] = (await running.get("/api/logs", q=" ".join(words), **asked))["logs"]
        return found

    await running.until(there)
    return found[0]


async def test_from_its_registration_to_its_end_everything_that_happens_to_a_device_is_told(running):
    async with running.joined(info={"tags": {"line": "A"}}) as device:
        assert (await told(running, "waits for approval", type="device"))["who"] == "pi5-1"
        await running.http.post("/api/devices/pi5-1/approve", headers={"X-EdgeWatt-Origin": "dashboard"})
        assert (await told(running, "approved"))["who"] == "dashboard"

        await device.join(tags={"line": "B"}, agent_version="9")
        moved = await told(running, "tags line=A → line=B")
        assert (moved["type"], moved["who"]) == ("device", "pi5-1")
        assert "agent_version none → 9" in moved["text"]

        await running.post("/api/devices/pi5-1/command", op="config", config={"rate": 2})
        ordered = await told(running, "config rate=2", type="command")
        assert (ordered["who"], ordered["facts"]["config"]) == ("rest", {"rate": 2})

        running.hub.deliver("device/pi5-1/cmd", b"stop", 1, retain=False)
        typed = await told(running, "stop", who="mqtt")
        command = await device.next_command("stop")
        await device.ack(typed["facts"]["command_id"], "succeeded", 2, op="stop")
        assert command.op == "stop"
        assert (await told(running, "stop on pi5-1 succeeded"))["who"] == "pi5-1"

        await running.http.request("DELETE", "/api/devices/pi5-1", headers={"X-EdgeWatt-Origin": "cli"})
        assert (await told(running, "forgotten"))["who"] == "cli"


async def test_a_deployment_tells_who_wanted_it_and_who_wanted_its_end_and_why(running):
    async with running.joined() as device:
        await running.post("/api/devices/pi5-1/approve")
        made = (await running.deploy(device_id="pi5-1", model_name=MODEL, force=True, reason="a test")).json()
        command = await device.next_command("deploy")
        await device.ack(command.id, "downloading", 2)
        await running.until_phase(made["deployment_id"], "downloading")
        await running.post(f"/api/deployments/{made['deployment_id']}/cancel", reason="wrong board")
        cancel = await device.next_command("cancel")
        await device.ack(cancel.id, "succeeded", 2, op="cancel")
        await device.ack(command.id, "cancelled", 3, reason="wrong board")
        await running.until_phase(made["deployment_id"], "cancelled")
        await told(running, "cancel on pi5-1 succeeded")
        life = (await running.get(made["watch"]))["deployment"]["events"]
        orders = (await running.get("/api/logs", type="command", who="mqtt"))["logs"]

    assert (life[0]["who"], life[0]["reason"]) == ("rest", "the gate may be overridden: a test")
    asked = [(event["phase"], event["who"], event["reason"]) for event in life[-3:]]
    assert asked == [
        ("downloading", "pi5-1", None),
        ("downloading", "rest", "asked to end it: wrong board"),
        ("cancelled", "pi5-1", "wrong board"),
    ]
    assert orders == []


async def test_a_device_that_logs_a_lot_keeps_its_newest_lines(running):
    async with running.joined() as device:
        for n in range(KEPT_LOG_LINES + 250):
            await device.say(LOG, LogLine(msg=f"line {n}"))
        await told(running, f"line {KEPT_LOG_LINES + 249}", type="log")
        kept = (await running.get("/api/logs", type="log", limit=5_000))["logs"]

    assert KEPT_LOG_LINES <= len(kept) < KEPT_LOG_LINES + 100


async def test_the_broker_is_told_of_when_it_goes_and_when_it_comes_back(running):
    running.hub.drop("controller")
    assert (await told(running, "connection to the broker is lost"))["type"] == "controller"
    running.parts.ingest.link.connect()
    assert (await told(running, "connected again"))["who"] == "controller"


def test_a_controller_that_begins_tells_what_is_set_otherwise_and_no_secret(tmp_path, store):
    (tmp_path / "password").write_text("s3cret")
    lives.begin(store, Settings(password_file=str(tmp_path / "password")), "1", 1.0)
    lives.end(store, 2.0)
    lives.begin(store, Settings(password_file=str(tmp_path / "password"), soak_s=20.0), "2", 3.0)
    texts = [event["text"] for event in store.events(kind="controller")]

    assert texts == [
        "the controller began, version 2; changed: version 1 → 2, soak_s 10.0 → 20.0",
        "the controller ended",
        "the controller began, version 1",
    ]
    assert "s3cret" not in json.dumps(store.events())
    store.close()


async def test_who_chose_a_predictor_is_told_with_it(running):
    versions = running.parts.ingest.passing.succession.answering.versions
    named = versions.add(versions.active_folder())
    assert run(["predictors", "use", named, "--controller-data", str(versions.folder.parent)]) == 0
    with running.parts.service.store.transaction():
        running.parts.ingest.passing.succession.take(1.0)

    assert (await told(running, f"predictor {named} answers"))["who"] == "cli"
    assert Versions(folder=versions.folder).chosen_by == "cli"


def test_only_what_a_person_would_call_another_device_is_a_change():
    info = {"device_type": "a", "ts": 1, "session": "x", "disk_free_mb": 5.0, "tags": {}}

    assert changes(info, info | {"ts": 2, "session": "y", "disk_free_mb": 4.0}) == []
    assert changes(info, info | {"power_sensor": {"source": "ina3221"}, "device_type": None}) == [
        "device_type a → none",
        "power none → ina3221",
    ]
