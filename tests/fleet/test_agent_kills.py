"""An agent killed at any write of its journal ends the deployment after its restart, and leaves no half file."""

import asyncio
import hashlib
import json
import shutil
import threading
from dataclasses import dataclass, field

import pytest

from broker.phases import DEVICE_STEPS, Phase
from tests.agent_bench import deploy
from tests.artifact_server import serving
from tests.fleet.agent_process import AgentProcess, watching
from tests.fleet.killing_agent import Death
from tests.tiny_models import slow_model, tiny_model

GOOD, NEW, THIRD, RUBBISH = tiny_model(seed=1), tiny_model(seed=2), tiny_model(seed=3), b"no model at all" * 9
SIDES = ("before", "after")

BEFORE_LOADING = ("accepted", "downloading", "verifying", "staged", "loading")
COOL_ENOUGH = {"when": {"temp_max_c": 60}}


@dataclass(frozen=True, kw_only=True)
class Story:
    """A deployment `d2` over a good model: each write of its journal, those from number `since` on in the table.

    `changes` are its command's, `board` is how the board behaves, `then` is sent as soon as it waits, and `rust` spoils
    the good model's file. It ends as `end` with `active`, and on the disk are `files`.
    """

    writes: tuple[str, ...]
    end: Phase
    active: str | None
    since: int = 1
    data: bytes = NEW
    changes: dict = field(default_factory=dict)
    board: dict = field(default_factory=dict)
    then: str = ""
    rust: bool = False
    files: tuple[bytes, ...] | None = (GOOD,)

    @property
    def places(self):
        return range(self.since, len(self.writes) + 1)


STORIES = {
    "whole": Story(
        writes=("accepted", "waiting", *BEFORE_LOADING[1:], "probing", "active", "soaking", "succeeded"),
        changes=COOL_ENOUGH | {"soak_s": 0.05},
        board={"hot": "once"},
        end=Phase.SUCCEEDED,
        active="new",
        files=(GOOD, NEW),
    ),
    "probe": Story(
        writes=(*BEFORE_LOADING, "probing", "rolling_back", "rolled_back"),
        since=7,
        changes={"budget": {"energy_mj": 1e-6}},
        end=Phase.ROLLED_BACK,
        active="good",
    ),
    "soak": Story(
        writes=(*BEFORE_LOADING, "probing", "active", "soaking", "rolling_back", "rolled_back"),
        since=8,
        changes={"budget": {"energy_mj": 1_000}, "soak_s": 0.05},
        board={"hungry": True},
        end=Phase.ROLLED_BACK,
        active="good",
    ),
    "rust": Story(
        writes=(*BEFORE_LOADING, "probing", "active", "soaking", "rolling_back", "rollback_failed"),
        since=9,
        changes={"budget": {"energy_mj": 1_000}, "soak_s": 0.05},
        board={"hungry": True},
        rust=True,
        end=Phase.ROLLBACK_FAILED,
        active=None,
        files=None,
    ),
    "rubbish": Story(writes=(*BEFORE_LOADING, "failed"), since=6, data=RUBBISH, end=Phase.FAILED, active="good"),
    "cancel": Story(
        writes=("accepted", "waiting", "waiting", "cancelled"),
        since=3,
        changes=COOL_ENOUGH,
        board={"hot": "always"},
        then="c1",
        end=Phase.CANCELLED,
        active="good",
    ),
    "newer": Story(
        writes=("accepted", "waiting", "superseded"),
        since=3,
        changes=COOL_ENOUGH,
        board={"hot": "always"},
        then="d3",
        end=Phase.SUPERSEDED,
        active="third",
        files=(GOOD, THIRD),
    ),
    "nonsense": Story(writes=("rejected",), changes={"when": {"window": "x"}}, end=Phase.REJECTED, active="good"),
    "late": Story(writes=("expired",), changes={"ts": 1.0, "ttl_s": 1.0}, end=Phase.EXPIRED, active="good"),
}

TABLE = [(name, at, side) for name, story in STORIES.items() for at in story.places for side in SIDES]

AT_ONCE = {"mosquitto": 12, "amqtt": 11}
"""amqtt takes 5 s to resume a session with unacknowledged messages: more agents wait side by side."""

PLACES = {"mosquitto": TABLE, "amqtt": [place for place in TABLE if place[0] == "whole" and place[2] == "after"]}


@pytest.fixture
def server():
    with serving() as artifacts:
        yield artifacts


async def first_model(watcher, agent, server):
    agent.launch()
    await watcher.until(lambda: watcher.online(agent.id), f"{agent.id} online")
    await watcher.command(agent.id, deploy(server, GOOD, "d1", gen=1, model="good"))
    await watcher.ended(agent.id, "d1")
    agent.stop()


def journal_of(agent, command_id):
    path = agent.folder / "journal" / f"{command_id}.json"
    return json.loads(path.read_bytes()) if path.exists() else None


def check_files(agent, files):
    models = agent.folder / "models"
    if files is not None:
        wanted = {hashlib.sha256(data).hexdigest(): data for data in files}
        assert {path.name: (path / "model.onnx").read_bytes() for path in (models / "sha256").iterdir()} == wanted
    left = [p.name for p in agent.folder.rglob("*") if ".part" in p.name or p.suffix == ".tmp"]
    assert left == []


class Telling:
    """One story, told to an agent with a good model that dies at one place of it and comes back."""

    def __init__(self, watcher, agent, server, place):
        self.watcher, self.agent, self.server = watcher, agent, server
        name, self.at, self.side = place
        self.story = STORIES[name]
        self.where = f"{name}: killed {self.side} write {self.at}"

    async def tell(self):
        await self.die()
        self.agent.launch(**self.story.board)
        await self.say_again()
        end = await self.watcher.ended(self.agent.id, "d2")
        assert end.state is self.story.end, f"{self.where}: {end}"
        ended_before = self.side == "after" and self.at == len(self.story.writes)
        assert end.attempt == (1 if ended_before else end.attempt), self.where
        await self.watcher.until(lambda: self.active() == self.story.active, f"{self.where}: {self.story.active}")
        pairs = [(a.attempt, a.seq) for a in self.watcher.acks(self.agent.id) if a.id == "d2" and a.attempt]
        assert pairs == sorted(pairs), self.where
        assert self.agent.stop() == 0, self.where
        check_files(self.agent, self.story.files)

    async def die(self):
        """Send the deployment, and see that the agent dies at the very write that the table names."""
        self.agent.launch(Death(at=self.at, side=self.side, of="d2"), **self.story.board)
        await self.watcher.until(lambda: self.watcher.online(self.agent.id), f"{self.where}: online")
        if self.story.rust:
            good = hashlib.sha256(GOOD).hexdigest()
            (self.agent.folder / "models" / "sha256" / good / "model.onnx").write_bytes(b"rust")
        await self.send("d2")
        if self.story.then:
            await self.watcher.until(self.waits, f"{self.where}: waiting")
            await self.send(self.story.then)
        await self.agent.died()
        written = ("", *self.story.writes)[self.at - (self.side == "before")]
        assert (journal_of(self.agent, "d2") or {}).get("phase", "") == written, self.where

    async def say_again(self):
        """Do what a controller does with a command that nobody accepted."""
        for command_id in filter(None, ("d2", self.story.then)):
            if journal_of(self.agent, command_id) is None:
                await self.send(command_id)

    async def send(self, command_id):
        commands = {
            "d2": lambda: deploy(self.server, self.story.data, "d2", gen=2, model="new", **self.story.changes),
            "d3": lambda: deploy(self.server, THIRD, "d3", gen=3, model="third"),
            "c1": lambda: {"id": "c1", "op": "cancel", "target": "d2"},
        }
        await self.watcher.command(self.agent.id, commands[command_id]())

    def waits(self):
        return any(a.id == "d2" and a.state is Phase.WAITING for a in self.watcher.acks(self.agent.id))

    def active(self):
        state = self.watcher.state(self.agent.id)
        return state.active.model if state is not None and state.active is not None else None


def test_the_table_names_every_state_of_a_device():
    named = {phase for story in STORIES.values() for phase in story.writes[story.since - 1 :]}
    ends = {"succeeded", "failed", "rejected", "cancelled", "superseded", "expired", "rolled_back", "rollback_failed"}

    assert named == {str(phase) for phase in DEVICE_STEPS} | ends


async def test_killed_at_any_write_of_a_deployment_the_agent_still_ends_it(broker, server, tmp_path):
    gate = asyncio.Semaphore(AT_ONCE[broker.kind])

    async def one(watcher, place):
        name = "-".join(map(str, place))
        agent = AgentProcess(f"k-{name}", broker.url, tmp_path / name)
        async with gate:
            shutil.copytree(tmp_path / "good", agent.folder)
            try:
                await Telling(watcher, agent, server, place).tell()
            finally:
                agent.stop()

    async with watching(broker.url) as watcher:
        await first_model(watcher, AgentProcess("k-good", broker.url, tmp_path / "good"), server)
        async with asyncio.TaskGroup() as group:
            for place in PLACES[broker.kind]:
                group.create_task(one(watcher, place))


@pytest.mark.parametrize("step", ["loading", "probing"])
async def test_three_crashes_in_a_risky_step_end_in_a_rollback(mosquitto, server, tmp_path, step):
    first = STORIES["probe"].writes.index(step) + 1
    agent = AgentProcess("k-loop", mosquitto.url, tmp_path / "loop")
    async with watching(mosquitto.url) as watcher:
        try:
            await first_model(watcher, agent, server)
            await watcher.command(agent.id, deploy(server, NEW, "d2", gen=2, model="new"))
            for _ in range(3):
                agent.launch(Death(at=first, side="after", of="d2"))
                await agent.died()
                assert journal_of(agent, "d2")["phase"] == step
            agent.launch()

            end = await watcher.ended(agent.id, "d2")

            assert (end.state, end.error.code) == (Phase.ROLLED_BACK, "crash_loop")
            assert end.error.msg == f"the device went down 3 times while {step}"
            await watcher.until(lambda: watcher.state(agent.id).active.model == "good", "the good model")
        finally:
            agent.stop()


async def test_a_download_that_a_power_cut_broke_off_goes_on_where_it_was(mosquitto, server, tmp_path):
    data = slow_model(size=300)
    agent = AgentProcess("k-range", mosquitto.url, tmp_path / "range")
    part = tmp_path / "range" / "models" / "parts" / f"{hashlib.sha256(data).hexdigest()}.part"
    server.hold = threading.Event()
    async with watching(mosquitto.url) as watcher:
        try:
            agent.launch()
            await watcher.until(lambda: watcher.online(agent.id), "online")
            await watcher.command(agent.id, deploy(server, data, "d2", gen=2, model="new"))
            await watcher.until(lambda: part.exists() and part.stat().st_size >= len(data) // 2, "half of it")
            agent.kill()
            server.hold.set()
            agent.launch()

            end = await watcher.ended(agent.id, "d2")

            assert (end.state, end.attempt) == (Phase.SUCCEEDED, 2)
            assert server.requests[1]["Range"] == f"bytes={len(data) // 2}-"
            assert server.requests[1]["If-Range"]
        finally:
            agent.stop()


async def test_a_broker_that_dies_during_a_download_loses_nothing(broker, server, tmp_path):
    agent = AgentProcess("k-net", broker.url, tmp_path / "net")
    server.hold = threading.Event()
    async with watching(broker.url) as watcher:
        try:
            agent.launch()
            await watcher.until(lambda: watcher.online(agent.id), "online")
            await watcher.command(agent.id, deploy(server, NEW, "d2", gen=2, model="new"))
            await watcher.until(server.asked.is_set, "a request")
            broker.kill()
            server.hold.set()
            broker.start()

            # The watcher was cut off as well, and an ack is said once: what stays is the state.
            await watcher.until(
                lambda: told_last(watcher.state(agent.id), "d2") is Phase.SUCCEEDED, "d2 in the state", 40
            )
            await watcher.until(lambda: watcher.online(agent.id), "online again")
        finally:
            agent.stop()


def told_last(state, command_id):
    """Return how the command stands in what the device last said of itself."""
    return next((each.state for each in state.last_cmds if each.id == command_id), None) if state else None


async def test_a_clean_stop_says_goodbye(broker, tmp_path):
    agent = AgentProcess("k-bye", broker.url, tmp_path / "bye")
    async with watching(broker.url) as watcher:
        agent.launch()
        await watcher.until(lambda: watcher.online(agent.id), "online")

        assert agent.stop() == 0
        await watcher.until(lambda: not watcher.online(agent.id), "offline")
        assert b'"shutdown"' in [p.payload for p in watcher.heard if p.topic.endswith("/status")][-1]
