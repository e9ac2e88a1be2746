"""News that is lost on its way comes again, because the controller asks for it; nothing is done twice for that."""

import json

import pytest

from broker.phases import Phase
from controller.ingest import TICK_S
from tests.controlling import controller

MODEL = "digits_mlp"


class Clock:
    """Time that passes when a test says so."""

    def __init__(self):
        self.now = 1_790_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
async def running(tmp_path):
    clock = Clock()
    async with controller(tmp_path, clock=clock, redelivery_s=10.0) as whole:
        whole.later = lambda seconds: pass_time(whole, clock, seconds)
        yield whole


def pass_time(running, clock, seconds):
    clock.now += seconds
    running.parts.ingest._pass_time()


async def sent(running, device):
    """Deploy a model and return the command that reached the device."""
    await running.deploy(device_id="pi5-1", model_name=MODEL)
    return await device.next_command("deploy")


async def test_a_device_that_falls_silent_in_the_middle_of_its_work_is_asked_with_the_same_command(running):
    async with running.joined() as device:
        first = await sent(running, device)
        await device.ack(first.id, "probing", 6)
        await running.until_phase(first.id, "probing")
        running.later(30)
        assert running.parts.service.outbox.due(9e12) == []
        running.later(11)
        again = await device.next_command("deploy")
        await device.ack(first.id, "succeeded", 8)
        await running.until_phase(first.id, "succeeded")

    assert (again.id, again.gen, again.fingerprint) == (first.id, first.gen, first.fingerprint)
    assert running.parts.service.outbox.due(9e12) == []


async def test_a_device_that_connects_anew_in_its_session_is_sent_at_once_what_it_did_not_answer(running):
    async with running.joined() as device:
        first = await sent(running, device)
        await device.join()
        again = await device.next_command("deploy")

    assert (again.id, again.gen) == (first.id, first.gen)


async def test_nobody_is_asked_who_is_away_or_asleep(running):
    async with running.joined() as device:
        first = await sent(running, device)
        await device.ack(first.id, "probing", 6)
        await running.until_phase(first.id, "probing")
        await device.leave()
        await running.until(lambda: away(running))
        running.later(1_000)

    assert not running.parts.service.outbox.holds("pi5-1", first.id)


async def away(running):
    return running.parts.service.store.device("pi5-1")["online"] == 0


async def test_an_order_that_was_begun_is_asked_for_until_its_end_is_heard(running):
    async with running.joined() as device:
        command_id = (await running.post("/api/devices/pi5-1/command", op="ping")).json()["command_id"]
        await device.next_command("ping")
        await device.ack(command_id, "accepted", 1, op="ping")
        await running.until(lambda: state_is(running, command_id, "accepted"))
        running.later(70)
        again = await device.next_command("ping")
        assert again.id == command_id
        assert await state_is(running, command_id, "accepted")
        await device.ack(command_id, "succeeded", 2, op="ping")
        await running.until(lambda: state_is(running, command_id, "succeeded"))

    assert running.parts.service.outbox.due(9e12) == []


async def state_is(running, command_id, state):
    command = running.parts.service.commands.get(command_id)
    return command is not None and command["state"] == state


async def test_an_order_whose_end_is_never_heard_ends_all_the_same(running):
    async with running.joined() as device:
        command_id = (await running.post("/api/devices/pi5-1/command", op="ping")).json()["command_id"]
        await device.next_command("ping")
        await device.ack(command_id, "accepted", 1, op="ping")
        await running.until(lambda: state_is(running, command_id, "accepted"))
        running.later(90_000)

        assert await state_is(running, command_id, "timed_out")


async def test_an_order_typed_by_hand_that_the_device_did_not_hear_is_sent_to_it(running):
    async with running.joined() as device:
        async with running.hub.link("a-person") as person:
            await person.publish("device/pi5-1/cmd", b"ping", qos=1)
        typed = await device.next_command("ping")
        await running.until(lambda: heard(running, "ping"))
        running.later(11)
        again = await device.next_command("ping")

    assert typed.id is None
    assert again.id.startswith("h-")


async def test_a_typed_cancel_of_whatever_is_at_work_is_not_sent_again(running):
    async with running.joined() as device:
        async with running.hub.link("a-person") as person:
            await person.publish("device/pi5-1/cmd", b"cancel", qos=1)
        await device.next_command("cancel")
        await running.until(lambda: heard(running, "cancel"))

    assert running.parts.service.outbox.due(9e12) == []


async def heard(running, op):
    return bool(running.parts.service.store.query("SELECT 1 FROM commands WHERE op = ?", [op]))


async def test_a_device_of_which_readings_go_on_is_there_although_its_word_was_lost(running):
    async with running.joined() as device:
        await device.leave()
        await running.until(lambda: away(running))
        await running.deploy(device_id="pi5-1", model_name=MODEL)
        await device.sample(1)
        await running.until(lambda: has_reading(running))
        assert await away(running)
        running.later(TICK_S + 5)
        await device.sample(2)
        waiting = await device.next_command("deploy")

    assert waiting.model == MODEL
    assert running.parts.service.store.device("pi5-1")["status"]["online"]


async def has_reading(running):
    return running.parts.service.store.device("pi5-1")["reading"] is not None


async def test_a_request_of_a_device_that_is_further_than_we_knew_is_offered_under_its_generation(running):
    async with running.joined() as device:
        async with running.hub.link("a-person") as person:
            typed = {"op": "deploy", "id": "t1", "model": MODEL}
            await person.publish("device/pi5-1/cmd", json.dumps(typed).encode(), qos=1)
        await device.next_command("deploy")
        ours = await device.next_command("deploy")
        await device.ack("t1", Phase.WAITING, 2, gen=21, reason="controller")
        renewed = await device.next_command("deploy")

    assert (ours.gen, renewed.gen) == (1, 21)
    assert renewed.artifact.sha256 == ours.artifact.sha256
    assert await running.phase("t1") == "sent"
