"""Balena through REST, against a fake of its API over real HTTP: joined devices, pins, logs, and its bad days."""

import asyncio
import logging
import threading
from dataclasses import replace

import pytest
import pytest_asyncio

from controller.balena.token import VARIABLE, Token
from tests import fake_balena
from tests.controlling import controller
from tests.fake_balena import BETTER, BROKEN, FOREIGN, GOOD, RECALLED, SLUG, TOKEN, UUIDS

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def cloud():
    with fake_balena.serving() as fake:
        yield fake


@pytest.fixture
def balena(cloud):
    cloud.reset()
    return cloud


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(tmp_path_factory, cloud):
    settings = {"balena_api_url": cloud.url, "balena_fleet": SLUG, "balena_token": Token(TOKEN)}
    async with controller(tmp_path_factory.mktemp("balena"), **settings) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def running(whole, balena):  # noqa: ARG001 - one that was reset
    """A controller that knows no devices, with an empty log and the token of the fake."""
    store = whole.parts.service.store
    with store.transaction():
        for device_id in [row["id"] for row in store.devices()]:
            store.forget_device(device_id)
        store.connection.execute("DELETE FROM events")
    configured(whole)
    return whole


def configured(running, **changes):
    """Let REST speak to balena as configured, but for `changes`."""
    parts = running.parts
    running.http._transport.app.state.parts = replace(parts, balena=replace(parts.balena, **changes))


async def refused(running, method, path, **more):
    answer = await running.http.request(method, path, **more)
    told = answer.json()
    assert told["success"] is False
    assert TOKEN not in answer.text
    return answer.status_code, told["code"], told


async def test_what_both_know_of_a_board_is_shown_side_by_side(running):
    info = {"balena_uuid": UUIDS[1].upper()}
    async with running.joined("pi5-1", info=info), running.joined("bench-1"):
        told = await running.get("/api/balena/devices")

    assert told["fleet"] == SLUG
    assert told["counts"] == {"both": 1, "balena": 2, "here": 1}
    first = told["devices"][0]
    assert (first["where"], first["name"], first["device"]["id"]) == ("both", "belt", "pi5-1")
    assert (first["balena"]["status"], first["balena"]["undervolted"]) == ("updating", True)
    assert first["balena"]["temperature_c"] == 71
    assert first["device"]["health"] in {"live", "silent"}
    assert first["balena"]["should_run"] == {"id": GOOD, "name": "1.0.0", "commit": f"{GOOD:040x}"}
    assert [(row["where"], row["name"]) for row in told["devices"][1:]] == [
        ("balena", "gate"),
        ("balena", "roof"),
        ("here", "bench-1"),
    ]


async def test_one_side_alone_can_be_asked_for_in_pages(running):
    told = await running.get("/api/balena/devices", where="balena", limit=1, offset=2)

    assert told["total"] == 3
    assert [row["name"] for row in told["devices"]] == ["roof"]


async def test_releases_are_listed_newest_first(running):
    told = await running.get("/api/balena/releases", limit=3)

    assert told["fleet"]["should_run"]["name"] == "1.0.0"
    assert [(each["id"], each["status"]) for each in told["releases"]] == [
        (RECALLED, "success"),
        (BROKEN, "failed"),
        (BETTER, "success"),
    ]


async def test_a_device_is_pinned_and_the_log_tells_it(running, balena):
    async with running.joined("pi5-1", info={"balena_uuid": UUIDS[0]}):
        answer = await running.post("/api/balena/deploy", release_id=BETTER, device_uuid=UUIDS[0])
        events = (await running.get("/api/logs", type="balena"))["logs"]

    told = answer.json()
    assert told["message"] == f"release 1.1.0 ({BETTER}) pinned on the device gate, before 1.0.0"
    assert balena.writes == [(f"/v7/device(uuid='{UUIDS[0]}')", {"is_pinned_on__release": BETTER})]
    assert [(each["text"], each["who"], each["device_id"]) for each in events] == [(told["message"], "rest", "pi5-1")]


async def test_a_fleet_is_pinned_and_says_who_follows_and_who_does_not(running, balena):
    told = (await running.post("/api/balena/deploy", release_id=BETTER, app_slug=SLUG)).json()

    assert [each["name"] for each in told["devices"]] == ["belt", "gate"]
    assert told["kept"] == 1
    fields = {"should_be_running__release": BETTER, "should_track_latest_release": False}
    assert balena.writes == [(f"/v7/application(slug='{SLUG}')", fields)]


async def test_a_dry_run_looks_and_changes_nothing(running, balena):
    told = (await running.post("/api/balena/deploy", release_id=BETTER, app_slug=SLUG, dry_run=True)).json()

    assert (told["dry_run"], told["changed"]) == (True, True)
    assert balena.writes == []
    assert (await running.get("/api/logs", type="balena"))["logs"] == []


async def test_what_is_pinned_there_already_is_not_written_again(running, balena):
    told = (await running.post("/api/balena/deploy", release_id=GOOD, device_uuid=UUIDS[2])).json()

    assert told["changed"] is False
    assert "already" in told["message"]
    assert balena.writes == []


async def test_one_key_is_one_pin(running, balena):
    body = {"release_id": BETTER, "device_uuid": UUIDS[0]}
    answers = [
        await running.http.post("/api/balena/deploy", json=body, headers={"Idempotency-Key": "k1"}) for _ in range(2)
    ]

    assert answers[0].json() == answers[1].json()
    assert len(balena.writes) == 1


@pytest.mark.parametrize(
    ("release_id", "target", "told"),
    [
        (BROKEN, {"device_uuid": UUIDS[0]}, (409, "release_not_successful")),
        (RECALLED, {"app_slug": SLUG}, (409, "release_not_successful")),
        (FOREIGN, {"device_uuid": UUIDS[0]}, (409, "foreign_release")),
        (999, {"app_slug": SLUG}, (404, "unknown_release")),
        (BETTER, {"device_uuid": "f" * 32}, (404, "unknown_device")),
        (BETTER, {"app_slug": "acme/none"}, (404, "unknown_fleet")),
        (BETTER, {}, (422, "invalid")),
        (BETTER, {"device_uuid": UUIDS[0], "app_slug": SLUG}, (422, "invalid")),
        (BETTER, {"device_uuid": "'"}, (422, "invalid")),
        ("x", {"app_slug": SLUG}, (422, "invalid")),
    ],
)
async def test_a_pin_that_makes_no_sense_is_refused_before_anything_is_written(
    running, balena, release_id, target, told
):
    body = {"release_id": release_id} | target

    assert (await refused(running, "POST", "/api/balena/deploy", json=body))[:2] == told
    assert balena.writes == []


async def test_the_newest_successful_releases_are_named(running):
    body = {"release_id": BROKEN, "app_slug": SLUG}
    told = (await refused(running, "POST", "/api/balena/deploy", json=body))[2]

    assert told["hint"] == f"the newest of {SLUG} that may be pinned: {BETTER} (1.1.0), {GOOD} (1.0.0)"


async def test_lines_of_a_device_come_oldest_first(running):
    told = await running.get(f"/api/balena/devices/{UUIDS[0]}/logs", limit=2)

    assert [each["text"] for each in told["lines"]] == ["line 1", "line 2"]
    assert told["lines"][1]["stderr"] is True
    assert told["lines"][0]["at"] == 1_790_000_000.001


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"/api/balena/devices/{'f' * 32}/logs", 404, "unknown_at_balena"),
        ("/api/balena/devices/zz/logs", 422, "invalid"),
        (f"/api/balena/devices/{UUIDS[0]}/logs?limit=5000", 422, "invalid"),
        ("/api/balena/devices?app_slug=acme/none", 404, "unknown_fleet"),
        ("/api/balena/devices?app_slug=none", 422, "invalid"),
        ("/api/balena/devices?where=nowhere", 422, "invalid"),
        ("/api/balena/releases?app_slug=acme/none", 404, "unknown_fleet"),
    ],
)
async def test_what_is_not_there_is_said(running, path, status, code):
    assert (await refused(running, "GET", path))[:2] == (status, code)


async def test_an_empty_fleet_is_no_unknown_one(running):
    told = await running.get("/api/balena/devices", app_slug="acme/empty")

    assert (told["total"], told["counts"]["balena"]) == (0, 0)


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"status": 401, "body": '"Unauthorized"'}, 502, "balena_unauthorized"),
        ({"status": 403}, 502, "balena_unauthorized"),
        ({"status": 400, "body": '"Could not match field"'}, 409, "balena_refused"),
        ({"status": 500, "body": "<html>"}, 502, "balena_failed"),
        ({"status": 503}, 502, "balena_failed"),
        ({"status": 302, "headers": {"Location": "https://example.org"}}, 502, "balena_answer"),
        ({"body": "<html>a portal</html>"}, 502, "balena_answer"),
        ({"body": "[]"}, 502, "balena_answer"),
        ({"body": ""}, 502, "balena_answer"),
        ({"status": 429, "headers": {"Retry-After": "60"}}, 503, "balena_busy"),
    ],
)
async def test_a_bad_answer_of_balena_is_a_sentence(running, balena, fault, status, code):
    balena.faults.append(fault)

    found = await refused(running, "GET", "/api/balena/releases")

    assert found[:2] == (status, code)
    assert found[2]["error"]
    assert found[2]["hint"]
    assert len(balena.requests) == 1


async def test_a_wrong_token_names_the_setting_to_look_at(running):
    configured(running, token=Token("wrong"))

    _, code, told = await refused(running, "GET", "/api/balena/devices")

    assert code == "balena_unauthorized"
    assert VARIABLE in told["hint"]
    assert "balena_token_file" in told["hint"]
    assert "wrong" not in str(told)


async def test_a_short_retry_after_is_waited_for(running, balena):
    balena.faults += [{"status": 429, "headers": {"Retry-After": "0"}}] * 2

    assert (await running.get("/api/balena/releases"))["success"] is True
    assert len(balena.requests) == 4


async def test_one_that_never_ends_is_given_up(running, balena):
    balena.faults += [{"status": 429, "headers": {"Retry-After": "0"}}] * 100

    _, code, told = await refused(running, "GET", "/api/balena/releases")

    assert code == "balena_busy"
    assert "UTC" in told["hint"]
    assert len(balena.requests) < 100


async def test_a_slow_balena_keeps_nobody_else_waiting_and_is_given_up(running, balena):
    held = threading.Event()
    configured(running, within_s=0.5)
    balena.faults.append({"stall": held})
    asked = asyncio.create_task(refused(running, "GET", "/api/balena/releases"))

    async def heard():
        return bool(balena.requests)

    await running.until(heard)
    meanwhile = await running.get("/api/status")
    pending = not asked.done()
    found = await asked
    held.set()

    assert meanwhile["balena"] == {"configured": True, "fleet": SLUG}
    assert pending
    assert found[:2] == (504, "balena_timed_out")


async def test_a_pin_whose_answer_did_not_come_is_in_the_log_as_not_known(running, balena):
    balena.faults += [None, None, None, {"status": 500}]

    body = {"release_id": BETTER, "device_uuid": UUIDS[0]}
    _, code, _ = await refused(running, "POST", "/api/balena/deploy", json=body)
    (event,) = (await running.get("/api/logs", type="balena"))["logs"]

    assert code == "balena_failed"
    assert event["text"].startswith("whether release 1.1.0")
    assert "is not known" in event["text"]


async def test_an_address_where_nobody_listens_is_said(running, free_port):
    configured(running, url=f"http://127.0.0.1:{free_port}")

    status, code, told = await refused(running, "GET", "/api/balena/devices")

    assert (status, code) == (503, "balena_unreachable")
    assert "balena_api_url" in told["hint"]


async def test_without_a_token_each_path_says_how_to_configure_it(running, balena):
    configured(running, token=None, fleet="")

    status = await running.get("/api/status")
    body = {"release_id": 1, "device_uuid": UUIDS[0]}
    found = [
        await refused(running, "GET", "/api/balena/devices?app_slug=acme/line"),
        await refused(running, "GET", "/api/balena/releases?app_slug=acme/line"),
        await refused(running, "POST", "/api/balena/deploy", json=body),
        await refused(running, "GET", f"/api/balena/devices/{UUIDS[0]}/logs"),
    ]
    assert balena.requests == []

    assert status["balena"] == {"configured": False, "fleet": None}
    assert {(code, told["code"]) for code, _, told in found} == {(409, "balena_not_configured")}
    assert all(VARIABLE in told["hint"] for _, _, told in found)


async def test_without_a_fleet_one_has_to_be_named(running):
    configured(running, fleet="")

    unnamed = await refused(running, "GET", "/api/balena/devices")
    named = await running.get("/api/balena/devices", app_slug=SLUG)

    assert unnamed[:2] == (422, "invalid")
    assert "EDGEWATT_BALENA_FLEET" in unnamed[2]["hint"]
    assert named["total"] == 3


async def test_the_token_is_in_no_log_and_in_no_event(running, caplog):
    with caplog.at_level(logging.DEBUG):
        await running.get("/api/balena/devices")
        logs = await running.get("/api/logs")

    assert "v7/device" in caplog.text
    assert TOKEN not in caplog.text
    assert TOKEN not in str(logs)


async def test_the_fake_refuses_what_balena_refuses():
    fake = fake_balena.FakeBalena()

    for resource, key, body in (
        ("device", None, {"is_pinned_on__release": GOOD}),
        ("device", UUIDS[0], {"should_be_running__release": GOOD}),
        ("device", UUIDS[0], {"is_pinned_on__release": BROKEN}),
    ):
        with pytest.raises(fake_balena.RefusedError):
            fake.patch(resource, key, body)
