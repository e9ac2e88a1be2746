"""Devices that sleep: believed while they should, missed when they do not wake, promised to instead of timed out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.memory import MemoryHub
from broker.messages import Status
from broker.topics import STATUS
from controller import fleet, sleep
from tests.controlling import controller

T0 = 1_800_000_000.0  # 2027-01-15 08:00 UTC
MODEL = "digits_cnn_s"


class Clock:
    """Stands still until a test moves it."""

    def __init__(self):
        self.at = T0

    def __call__(self):
        return self.at


def row(*, wake_at=T0 + 600, ts=T0, status_at=T0, online=0, reason="sleep"):
    status = {"online": bool(online), "reason": reason, "wake_at": wake_at, "ts": ts}
    empty = dict.fromkeys(("session", "reading_at", "info", "state", "desired", "reading"))
    return empty | {"id": "pi5-1", "online": online, "status_at": status_at, "status": status}


def test_a_device_is_asleep_until_a_minute_after_it_said_that_it_wakes():
    assert fleet.health(row(), T0 + 1) == ("asleep", "sleeps until 08:10 UTC (in 10 min)")
    assert fleet.health(row(), T0 + 659) == ("asleep", "sleeps until 08:10 UTC (any moment)")
    assert fleet.health(row(), T0 + 780) == ("offline", "should have woken at 08:10 UTC, 3 min ago")


def test_who_says_nothing_of_waking_is_offline():
    assert fleet.health(row(wake_at=None), T0 + 60) == ("offline", "sleeps, without saying until when")
    assert sleep.asleep_until(row(reason="shutdown"), T0) is None
    assert sleep.asleep_until(row(online=1), T0) is None


def test_a_board_whose_clock_is_off_still_knows_how_long_it_sleeps():
    assert sleep.wakes_at(row(ts=100.0, wake_at=700.0)) == T0 + 600


def test_nobody_is_believed_for_longer_than_a_week():
    assert sleep.wakes_at(row(wake_at=T0 + 9e9)) == T0 + sleep.LONGEST_SLEEP_S


@pytest.mark.parametrize(
    ("ahead_s", "said"),
    [
        (540, "will apply at 08:09 UTC (in 9 min)"),
        (20, "will apply at 08:00 UTC (in 20 s)"),
        (0, "will apply at 08:00 UTC (any moment)"),
        (3 * 3_600, "will apply at 11:00 UTC (in 3 h)"),
        (86_400, "will apply at 2027-01-16 08:00 UTC (in 24 h)"),
        (3 * 86_400, "will apply at 2027-01-18 08:00 UTC (in 3 d)"),
    ],
)
def test_a_promise_names_the_time_and_how_long_that_is(ahead_s, said):
    assert sleep.promise(T0 + ahead_s, T0) == said


@given(st.floats(0, 4e9), st.floats(0, 4e9))
def test_any_two_times_make_a_sentence(wake_at, now):
    assert sleep.promise(wake_at, now).startswith("will apply at ")


async def asleep(running, device, wake_in_s=600.0, at=T0):
    """Let `device` say that it sleeps, and wait until the controller knows."""
    said = Status(online=False, session=device.session, ts=at, reason="sleep", wake_at=at + wake_in_s)
    await device.say(STATUS, said)

    async def known():
        return (await running.get(f"/api/devices/{device.id}"))["device"]["health"] == "asleep"

    await running.until(known)


async def test_what_is_asked_of_a_sleeping_device_says_when_it_will_apply(tmp_path):
    clock = Clock()
    async with controller(tmp_path, clock=clock) as running, running.joined() as device:
        await asleep(running, device)
        made = (await running.deploy(device_id="pi5-1", model_name=MODEL, max_energy_mj=1e6)).json()
        ordered = (await running.post("/api/device/stop", device_id="pi5-1")).json()
        listed = (await running.get("/api/deployments"))["deployments"][0]
        told = (await running.get(made["watch"]))["deployment"]
        dry = await running.deploy(device_id="pi5-1", model_name=MODEL, max_energy_mj=1e6, dry_run=True)
        status = await running.get("/api/status")

    assert {d["will_apply_at"] for d in (made, ordered, listed, told, dry.json())} == {T0 + 600}
    assert (told["phase"], told["reason"]) == ("queued", "the device sleeps until 08:10 UTC")
    assert status["devices"]["asleep"] == 1


async def test_the_timers_stand_still_while_it_sleeps_and_it_is_done_when_it_wakes(tmp_path):
    clock = Clock()
    async with controller(tmp_path, clock=clock) as running, running.joined() as device:
        made = (await running.deploy(device_id="pi5-1", model_name=MODEL, max_energy_mj=1e6)).json()
        await running.until_phase(made["deployment_id"], "sent")
        ordered = (await running.post("/api/device/stop", device_id="pi5-1")).json()
        await asleep(running, device, wake_in_s=6 * 86_400.0)
        clock.at = T0 + 6 * 86_400 - 1
        running.parts.ingest._pass_time()

        assert await running.phase(made["deployment_id"]) == "sent"
        order = (await running.get(ordered["watch"]))["command"]
        assert (order["state"], order["will_apply_at"]) == (None, T0 + 6 * 86_400)

        device.session = "s2"
        await device.join()
        command = await device.next_command("deploy")
        for seq, phase in enumerate(("accepted", "succeeded"), 1):
            await device.ack(command.id, phase, seq)
        await running.until_phase(made["deployment_id"], "succeeded")

        assert (await device.next_command("stop")).id == ordered["command_id"]
        assert (await running.get(made["watch"]))["deployment"]["will_apply_at"] is None


async def test_a_device_that_does_not_wake_is_missed_once_and_what_waits_for_it_ends(tmp_path):
    async def missed():
        events = (await running.get("/api/logs", type="presence"))["logs"]
        return [event["text"] for event in events if "woken" in event["text"]]

    clock = Clock()
    async with controller(tmp_path, clock=clock) as running, running.joined() as device:
        await asleep(running, device)
        made = (await running.deploy(device_id="pi5-1", model_name=MODEL, max_energy_mj=1e6)).json()
        clock.at = T0 + 3_600
        for _ in range(3):
            running.parts.ingest._pass_time()

        assert await missed() == ["pi5-1 should have woken at 08:10 UTC"]
        assert (await running.get("/api/devices/pi5-1"))["device"]["health"] == "offline"
        assert (await running.get(made["watch"]))["deployment"]["will_apply_at"] is None
        clock.at = T0 + 2 * 86_400
        running.parts.ingest._pass_time()
        assert await running.phase(made["deployment_id"]) == "timed_out"

    async with controller(tmp_path, clock=clock) as running:
        running.parts.ingest._pass_time()
        assert len(await missed()) == 1


async def test_a_device_that_woke_and_slept_again_unheard_is_asleep(tmp_path):
    clock, hub = Clock(), MemoryHub()
    async with controller(tmp_path, hub=hub, clock=clock) as running, running.joined() as device:
        await device.say(STATUS, Status(online=True, session="s1", ts=T0))
    async with running.device(session="s2") as device:
        await device.say(STATUS, Status(online=False, session="s2", ts=T0 + 500, reason="sleep", wake_at=T0 + 1_100))
    clock.at = T0 + 550

    async with controller(tmp_path, hub=hub, clock=clock, epoch="e2") as running:

        async def asleep_now():
            told = (await running.get("/api/devices/pi5-1"))["device"]
            return (told["health"], told["wake_at"]) == ("asleep", T0 + 1_100)

        await running.until(asleep_now)
        late = Status(online=False, session="s1", ts=T0 + 400, reason="lost")
        hub.deliver(STATUS.topic("pi5-1"), STATUS.encode(late), 1, retain=False)

        async def counted():
            return (await running.get("/api/status"))["messages"]["noted"].get("late_will")

        await running.until(counted)
        assert await asleep_now()


async def test_a_calibration_says_that_the_device_sleeps(tmp_path):
    async with controller(tmp_path, clock=Clock()) as running, running.joined(info={"simulated": True}) as device:
        await running.post("/api/devices/pi5-1/calibrate")
        await asleep(running, device)
        running.parts.ingest._pass_time()
        told = await running.get("/api/devices/pi5-1/calibration")

    assert told["calibration"]["reason"] == "the device sleeps until 08:10 UTC"
