"""Addresses of files: one device's alone, for a while, and good for as long as a command is."""

import stat
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import pytest_asyncio

from broker.errors import InvalidError
from broker.phases import Phase
from controller.access.urls import VALID_S, url_key, void
from controller.patience import DEADLINE_S
from controller.renewal import LOOK_EVERY_S
from edge_agent.admission import Arrival, Repeat, Start, decide
from tests.controlling import controller

pytestmark = pytest.mark.asyncio(loop_scope="module")

MODEL = "digits_cnn_s"


class Clock:
    def __init__(self):
        self.now = 1_800_000_000.0

    def __call__(self):
        return self.now


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(tmp_path_factory):
    clock = Clock()
    async with controller(tmp_path_factory.mktemp("urls"), clock=clock) as made:
        made.clock, made.door = clock, made.parts.door
        made.secret = made.door.tokens.create("ada", "admin", clock())
        made.http.headers["Authorization"] = f"Bearer {made.secret}"
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def running(whole):
    yield whole
    for device in whole.parts.service.store.devices():
        whole.parts.service.forget(device["id"], "test", whole.clock())


async def fetched(running, url, **headers):
    """Return the answer to who has the address and no token."""
    parts = urlsplit(url)
    request = running.http.build_request("GET", f"{parts.path}?{parts.query}", headers=headers)
    del request.headers["Authorization"]
    return await running.http.send(request)


def changed(url, **query):
    parts = urlsplit(url)
    return parts._replace(query=urlencode(dict(parse_qsl(parts.query)) | query)).geturl()


async def commanded(running, device):
    """Deploy to `device`; return the command that it gets and the deployment's id."""
    answer = (await running.deploy(device_id=device.id, model_name=MODEL)).json()
    return await device.next_command("deploy"), answer["deployment_id"]


async def test_a_command_carries_an_address_that_works_without_a_token(running):
    async with running.joined() as device:
        command, _ = await commanded(running, device)
        whole = await fetched(running, command.artifact.url)
        part = await fetched(running, command.artifact.url, Range="bytes=10-19")

        signature = dict(parse_qsl(urlsplit(command.artifact.url).query))["signature"]

        async def shown_without_its_signature():
            shown = (await running.http.get(f"/api/devices/{device.id}")).text
            assert signature not in shown
            return "signature=…" in shown

        await running.until(shown_without_its_signature)

    assert (whole.status_code, len(whole.content)) == (200, command.artifact.size)
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert running.secret not in command.artifact.url


async def test_of_another_device_file_time_or_key_it_is_refused_in_words(running):
    async with running.joined() as device, running.joined("pi5-2"):
        command, _ = await commanded(running, device)
        url = command.artifact.url
        later = int(dict(parse_qsl(urlsplit(url).query))["expires"]) + 1
        spoilt = [
            changed(url, device="pi5-2"),
            changed(url, device="nobody"),
            changed(url, expires=str(later)),
            changed(url, expires="soon"),
            changed(url, expires="9" * 5_000),
            changed(url, signature="A" * 43),
            changed(url, signature=""),
            changed(url, signature="é"),
            url.replace(command.artifact.sha256, "0" * 64),
            url.replace("/models/sha256/", "/models/sha256/../"),
        ]
        answers = [await fetched(running, each) for each in spoilt]

    assert {answer.status_code for answer in answers} <= {401, 403, 404}
    told = [answer.json() for answer in answers[:9]]
    assert {each["code"] for each in told if each["code"] != "not_signed_in"} == {"bad_url"}
    assert all(each["hint"] and not each["success"] for each in told)
    assert (await fetched(running, f"/models/sha256/{command.artifact.sha256}")).status_code == 401
    assert (await fetched(running, f"/models/{MODEL}?{urlsplit(url).query}")).status_code == 401
    assert (await fetched(running, f"/api/status?{urlsplit(url).query}")).status_code == 401
    assert (await running.http.get(f"/models/sha256/{command.artifact.sha256}")).status_code == 200


async def test_it_lasts_longer_than_the_command_and_then_ends(running):
    async with running.joined() as device:
        command, deployment_id = await commanded(running, device)
        assert command.ttl_s < VALID_S
        await device.ack(command.id, Phase.SUCCEEDED, 1)
        await running.until_phase(deployment_id, "succeeded")
        running.clock.now += command.ttl_s
        assert (await fetched(running, command.artifact.url)).status_code == 200
        running.clock.now += VALID_S - command.ttl_s
        late = await fetched(running, command.artifact.url)

    assert (late.status_code, late.json()["code"]) == (403, "url_expired")


async def test_a_device_that_slept_over_its_end_goes_on_with_what_its_journal_holds(running):
    async with running.joined() as device:
        command, deployment_id = await commanded(running, device)
        await device.ack(command.id, Phase.DOWNLOADING, 1)
        await running.until_phase(deployment_id, "downloading")
        deployment = running.parts.service.deployments.get(deployment_id)
        late = running.clock() + VALID_S + 1
        sha256, query = command.artifact.sha256, dict(parse_qsl(urlsplit(command.artifact.url).query))
        assert running.door.urls.check(sha256, query, late) == device.id
        assert not deployment.terminal


async def test_a_forgotten_device_has_no_address_any_more_even_when_it_comes_back(running):
    async with running.joined() as device:
        command, _ = await commanded(running, device)
        await running.http.delete(f"/api/devices/{device.id}")
        gone = await fetched(running, command.artifact.url)
        running.clock.now += 1
        await device.join()
        await running.until(lambda: running.knows(device.id))
        back = await fetched(running, command.artifact.url)

    assert [(answer.status_code, answer.json()["code"]) for answer in (gone, back)] == [(403, "bad_url")] * 2


async def test_a_revoked_devices_addresses_are_dead_and_what_it_converges_to_is_signed_anew(running):
    async with running.joined("pi5-8") as device:
        command, _ = await commanded(running, device)
        with running.parts.service.store.transaction():
            void(running.parts.service.store, device.id, running.clock())
        gone = await fetched(running, command.artifact.url)
        renewed = running.door.urls.fresh(command.artifact, device.id, running.clock())
        again = await fetched(running, renewed.url)

    assert (gone.status_code, gone.json()["code"]) == (403, "bad_url")
    assert again.status_code == 200
    assert running.door.urls.fresh(renewed, device.id, running.clock()) is renewed


async def test_what_a_device_converges_to_gets_a_fresh_address_and_is_the_same_command(running):
    async with running.joined("pi5-9") as device:
        command, deployment_id = await commanded(running, device)
        before = (await device.next_desired()).deploy
        await device.ack(command.id, Phase.SUCCEEDED, 1)
        await running.until_phase(deployment_id, "succeeded")
        running.clock.now += DEADLINE_S + LOOK_EVERY_S
        after = (await device.next_desired()).deploy
        while after.artifact.url == before.artifact.url:
            after = (await device.next_desired()).deploy

    known = decide(Arrival(command=command, at=command.ts), None, gen=0)
    assert isinstance(known, Start)
    assert isinstance(decide(Arrival(command=after, at=command.ts), known.entry, gen=0), Repeat)
    assert (after.id, after.gen, after.fingerprint) == (command.id, command.gen, command.fingerprint)
    ends = [int(dict(parse_qsl(urlsplit(each.artifact.url).query))["expires"]) for each in (before, after)]
    assert ends[1] - ends[0] >= DEADLINE_S


async def test_an_address_is_plain_before_there_is_a_token_and_signed_from_then_on(tmp_path):
    async with controller(tmp_path) as fresh, fresh.joined() as device:
        command, _ = await commanded(fresh, device)
        assert "?" not in command.artifact.url
        assert (await fresh.http.get(urlsplit(command.artifact.url).path)).status_code == 200
        first = (await device.next_desired()).deploy
        fresh.parts.door.tokens.create("ada", "admin", 1.0)
        second = (await device.next_desired()).deploy
        while "?" not in second.artifact.url:
            second = (await device.next_desired()).deploy

    assert first.fingerprint == second.fingerprint


async def test_the_key_is_made_once_for_nobody_else_to_read(tmp_path):
    path = tmp_path / "security" / "url.key"
    key = url_key(path)

    assert url_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.write_bytes(b"short")
    with pytest.raises(InvalidError, match="damaged"):
        url_key(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(InvalidError, match="cannot use"):
        url_key(path)
