"""A deployment that waits says for what, with figures, and until when where that can be known."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.commands import Conditions
from broker.conditions import within
from broker.messages import PowerState
from broker.phases import Phase
from edge_agent.conditions import Rise, unmet
from edge_agent.download import Downloader, Patience
from edge_agent.simulation.board import SimulatedBoard
from tests.agent_bench import deploy, running
from tests.artifact_server import serving
from tests.controlling import controller

NOON = datetime(2026, 11, 25, 12, 0)  # noqa: DTZ001 - a clock on the wall beside the device
NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)
QUARTERS = st.integers(0, 95).map(lambda n: f"{n // 4:02}:{n % 4 * 15:02}")


@pytest.fixture
def server():
    with serving() as artifacts:
        yield artifacts


@given(QUARTERS, QUARTERS, st.integers(0, 31_000_000))
def test_a_closed_window_opens_at_its_eta_and_not_before(begin, end, seconds):
    if begin == end:
        return
    window, at = f"{begin}-{end}", (NEW_YEAR + timedelta(seconds=seconds)).astimezone()
    found = unmet(Conditions(window=window), PowerState(), at)
    if found is None:
        assert within(window, at.time())
        return
    opens = datetime.fromtimestamp(found.eta, UTC).astimezone()

    assert within(window, opens.time())
    assert at < opens <= at + timedelta(days=1, hours=1)
    assert not within(window, (opens - timedelta(seconds=1)).time())


def test_each_reason_is_said_with_its_figures():
    power = PowerState(soc_pct=12, charging=False, temp_c=71.5)
    said = {
        Conditions(soc_min_pct=40): ("soc", "the battery has 12 %, it begins at 40 %"),
        Conditions(charging=True): ("charging", "the battery does not charge"),
        Conditions(temp_max_c=60): ("temp", "71.5 °C, it begins at 60 °C"),
        Conditions(window="22:00-05:00"): ("window", "it begins between 22:00 and 05:00, here it is 12:00"),
    }

    for when, (reason, detail) in said.items():
        found = unmet(when, power, NOON)
        assert (found.reason, found.detail) == (reason, detail)


def test_of_several_all_are_said_and_the_last_one_decides_when():
    rise = Rise()
    rise.see(NOON.timestamp() - 3_600, 30)
    rise.see(NOON.timestamp(), 31)
    both = Conditions(soc_min_pct=41, window="13:00-14:00")
    found = unmet(both, PowerState(soc_pct=31), NOON, rise)

    assert found.reason == "soc"
    assert found.detail.count(";") == 1
    assert found.eta == NOON.timestamp() + 10 * 3_600
    assert unmet(both, PowerState(soc_pct=31), NOON).eta is None


@given(st.floats(0, 50), st.floats(1.01, 40), st.integers(60, 86_400), st.floats(0, 10))
def test_a_battery_that_fills_evenly_is_foretold(low, gain, seconds, more):
    rise = Rise()
    rise.see(1_000.0, low)
    rise.see(1_000.0 + seconds, low + gain)
    eta = rise.reaches(low + gain + more)

    assert eta == pytest.approx(1_000.0 + seconds * (1 + more / gain), rel=1e-6)


@pytest.mark.parametrize("seen", [[], [(0, 50)], [(0, 50), (60, 50.4)], [(0, 50), (60, 52), (120, 51)], [(0, None)]])
def test_a_battery_that_does_not_fill_is_not_foretold(seen):
    rise = Rise()
    for at, soc_pct in seen:
        rise.see(at, soc_pct)

    assert rise.reaches(90) is None


async def test_the_words_and_the_time_reach_ack_state_and_the_controllers_deployment(server, tmp_path):
    now = datetime.now()  # noqa: DTZ005 - the local clock of this device
    opens = (now + timedelta(hours=2)).replace(minute=0, second=0, microsecond=0)
    window = f"{opens:%H:%M}-{opens + timedelta(hours=1):%H:%M}"
    async with running(tmp_path / "agent") as bench:
        bench.send(deploy(server, when={"window": window}))
        ack = await bench.ack("d1", "waiting")
        await bench.until(lambda: bench.state.current_cmd is not None, "a current command")
        told = bench.state.current_cmd
    async with controller(tmp_path) as whole, whole.joined() as device:
        deployment_id = (await whole.deploy(device_id="pi5-1", model_name="digits_mlp")).json()["deployment_id"]
        await device.next_command("deploy")
        await device.report(current_cmd=replace(told, id=deployment_id))
        await whole.until_phase(deployment_id, "waiting")
        shown = (await whole.get(f"/api/deployments/{deployment_id}"))["deployment"]
        await device.ack(deployment_id, "downloading", told.seq + 1)
        await whole.until_phase(deployment_id, "downloading")
        later = (await whole.get(f"/api/deployments/{deployment_id}"))["deployment"]

    assert (ack.reason, ack.eta) == ("window", opens.timestamp())
    assert (told.detail, told.eta) == (ack.detail, ack.eta)
    assert (shown["code"], shown["reason"], shown["eta"]) == ("window", ack.detail, ack.eta)
    assert [e["reason"] for e in shown["events"] if e["phase"] == "waiting"] == [ack.detail]
    assert (later["code"], later["eta"]) == (None, None)


class Senses:
    """The battery and heat that a test sets, and how often they were looked at."""

    def __init__(self, **figures):
        self.figures, self.looks = figures, 0

    def __call__(self, _board):
        self.looks += 1
        return PowerState(**self.figures)


async def test_another_reason_is_said_at_once_and_the_same_one_rarely(server, tmp_path, monkeypatch):
    senses = Senses(soc_pct=10.0, temp_c=20.0)
    monkeypatch.setattr(SimulatedBoard, "power", property(senses))
    async with running(tmp_path, poll_s=0.01) as bench:
        bench.send(deploy(server, when={"soc_min_pct": 40, "temp_max_c": 50}))
        await bench.ack("d1", "waiting")
        for soc_pct in (11.0, 12.0, 13.0):
            senses.figures["soc_pct"], seen = soc_pct, senses.looks
            await bench.until(lambda seen=seen: senses.looks > seen + 2, "another look")
        senses.figures |= {"soc_pct": 50.0, "temp_c": 60.0}
        await bench.until(lambda: bench.acks("d1")[-1].reason == "temp", "the other reason")
        senses.figures["temp_c"] = 30.0
        await bench.ack("d1", "succeeded")

        waiting = [a for a in bench.acks("d1") if a.state is Phase.WAITING]
        assert [a.reason for a in waiting] == ["soc", "temp"]
        assert waiting[0].detail == "the battery has 10 %, it begins at 40 %"


async def test_the_same_reason_with_other_figures_is_news_after_a_minute(server, tmp_path, monkeypatch):
    senses, clock = Senses(soc_pct=10.0), [1_800_000_000.0]
    monkeypatch.setattr(SimulatedBoard, "power", property(senses))
    async with running(tmp_path, poll_s=0.01, part_changes={"now": lambda: clock[0]}) as bench:
        bench.send(deploy(server, when={"soc_min_pct": 40}))
        await bench.ack("d1", "waiting")
        senses.figures["soc_pct"] = 15.0
        clock[0] += 600.0
        await bench.until(lambda: len([a for a in bench.acks("d1") if a.state is Phase.WAITING]) == 2, "the news")
        news = bench.acks("d1")[-1]

        assert news.detail == "the battery has 15 %, it begins at 40 %"
        assert news.eta == clock[0] + 600.0 * 25 / 5


class Disk:
    """A disk whose free bytes a test sets."""

    def __init__(self, free):
        self.free = free

    def __call__(self, _folder):
        return self.free

    @property
    def parts(self):
        patience = Patience(timeout_s=2, first_wait_s=0.01, most_wait_s=0.05, give_up_s=2)
        return {"downloader": Downloader(patience=patience, free_bytes=self)}


async def test_a_full_disk_is_waited_for_and_the_download_begins_when_there_is_room(server, tmp_path):
    disk = Disk(1_000)
    async with running(tmp_path, part_changes=disk.parts) as bench:
        bench.send(deploy(server))
        waiting = await bench.ack("d1", "waiting")
        asked = len(server.requests)
        disk.free = 10**12
        end = await bench.ack("d1")

    assert (waiting.reason, waiting.eta) == ("disk", None)
    assert waiting.detail.startswith("No space left on the device: 0.0 MB to download, 0.0 MB free")
    assert asked == 0
    assert end.state is Phase.SUCCEEDED


async def test_a_disk_that_stays_full_fails_with_the_figures(server, tmp_path):
    async with running(tmp_path, part_changes=Disk(1_000).parts) as bench:
        bench.agent.installer._waiting = replace(bench.agent.installer._waiting, disk_patience_s=0.1)
        end = await bench.do(deploy(server))

    assert (end.state, end.error.code) == (Phase.FAILED, "disk_full")
    assert "MB to download" in end.error.msg
    assert not server.requests


async def test_a_disk_that_fills_up_on_the_way_is_waited_for_too(server, tmp_path):
    disk = Disk(10**12)
    async with running(tmp_path, part_changes=disk.parts) as bench:
        fetch = Downloader.fetch

        def fills_up(loader, ref, part, **more):
            part.symlink_to("/dev/full")
            disk.free = 0
            fetch(loader, ref, part, **more)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Downloader, "fetch", fills_up)
            bench.send(deploy(server))
            await bench.ack("d1", "waiting")
        disk.free = 10**12
        end = await bench.ack("d1")

    assert end.state is Phase.SUCCEEDED
    assert bench.states("d1")[1:4] == ["downloading", "waiting", "downloading"]


async def test_a_wait_for_the_disk_can_be_cancelled(server, tmp_path):
    async with running(tmp_path, part_changes=Disk(1_000).parts) as bench:
        bench.send(deploy(server))
        await bench.ack("d1", "waiting")
        await bench.do({"id": "c1", "op": "cancel", "target": "d1"})

        assert (await bench.ack("d1")).state is Phase.CANCELLED


@pytest.mark.parametrize("present", [False, True])
async def test_too_little_memory_ends_it_before_anything_is_downloaded(server, tmp_path, present):
    async with running(tmp_path) as bench:
        if present:
            await bench.do(deploy(server, command_id="d0", gen=1))
        asked = len(server.requests)
        bench.agent.installer.contents = replace(bench.agent.installer.contents, free_ram=lambda: 100)
        end = await bench.do(deploy(server, command_id="d1", gen=2))

    assert (end.state, end.error.code) == (Phase.FAILED, "no_memory")
    assert end.error.msg.startswith("not enough memory to load it: about 0 MB, 0 MB free")
    assert len(server.requests) == asked
