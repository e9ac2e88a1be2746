"""The agent on the bus: what it says when, duplicates, the late Will, a new controller, history after an outage."""

import asyncio
import json
import logging
from dataclasses import replace

import pytest

from broker.errors import StorageError
from broker.memory import MemoryHub
from broker.messages import ControllerStatus, Status
from broker.phases import Phase
from broker.topics import CMD, CONTROLLER_STATUS, STATUS
from broker.wire import encode
from edge_agent.fleetmate import Fleetmate, spread
from tests.agent_bench import DEVICE, deploy, running
from tests.artifact_server import serving


@pytest.fixture
def server():
    with serving() as artifacts:
        yield artifacts


def controller(bench, epoch, **changes):
    status = ControllerStatus(online=True, epoch=epoch, **changes)
    bench.hub.deliver(CONTROLLER_STATUS, encode(status), 1, retain=True)


async def test_each_connection_says_status_info_and_state_again(tmp_path):
    async with running(tmp_path) as bench:
        before = {suffix: len(bench.said(suffix)) for suffix in ("status", "info", "state")}
        bench.hub.drop(DEVICE)
        assert bench.said("status")[-1] == {**bench.said("status")[-1], "online": False, "reason": "lost"}
        bench.link.connect()

        await bench.until(lambda: all(len(bench.said(s)) > n for s, n in before.items()), "the birth")
        await bench.until(lambda: bench.said("status")[-1]["online"], "the status")


async def test_the_will_is_of_this_session(tmp_path):
    async with running(tmp_path) as bench:
        bench.hub.drop(DEVICE)

        assert bench.said("status")[-1]["session"] == bench.state.session
        bench.link.connect()


async def test_a_late_will_is_contradicted(tmp_path):
    async with running(tmp_path) as bench:
        late = Status(online=False, session="b0-old", reason="lost")
        bench.hub.deliver(STATUS.topic(DEVICE), encode(late), 1, retain=True)

        await bench.until(lambda: bench.said("status")[-1]["online"], "the contradiction")


async def test_in_a_container_of_balena_os_info_says_what_balena_calls_the_board(tmp_path, monkeypatch):
    monkeypatch.setenv("BALENA_DEVICE_UUID", "0123456789abcdef0123456789abcdef")
    async with running(tmp_path) as bench:
        assert bench.said("info")[-1]["balena_uuid"] == "0123456789abcdef0123456789abcdef"


async def test_info_registers_the_device(tmp_path):
    async with running(tmp_path, tags={"line": "A"}) as bench:
        info = bench.said("info")[-1]

        assert info["device_type"] == "raspberry_pi_5"
        assert info["simulated"] is True
        assert info["tags"] == {"line": "A"}
        assert info["formats"] == ["onnx"]
        assert info["power_sensor"]["source"] == "simulated"
        assert info["disk_free_mb"] > 0


async def test_a_new_controller_is_introduced_to_and_the_same_one_is_not(tmp_path):
    async with running(tmp_path) as bench:
        controller(bench, "e1")
        await bench.until(lambda: bench.agent.fleetmate.epoch == "e1", "the first controller")
        before = len(bench.said("info"))
        controller(bench, "e1")
        controller(bench, "e2")
        await bench.until(lambda: len(bench.said("info")) > before, "the introduction")

        assert len(bench.said("info")) == before + 1


def test_a_fleet_introduces_itself_spread_over_time():
    assert spread(ControllerStatus(online=True, devices=0)) == 0
    assert 0 <= max(spread(ControllerStatus(online=True, devices=500)) for _ in range(50)) <= 5
    assert max(spread(ControllerStatus(online=True, devices=10**9)) for _ in range(50)) <= 60


def test_the_controllers_host_is_allowed():
    mate = Fleetmate(configured=frozenset({"mirror"}))
    mate.hear(ControllerStatus(online=True, epoch="a", artifact_base_url="http://ctl.local:5000"))

    assert mate.hosts == {"mirror", "ctl.local"}


def test_a_controller_is_lost_by_its_own_will_and_seen_anew_in_each_life():
    mate = Fleetmate()
    for online, epoch, sighting in (
        (False, "a", None),
        (True, "a", 1),
        (True, "a", 1),
        (True, "b", 2),
        (False, "a", 2),
        (False, "b", None),
        (True, "b", 3),
    ):
        mate.hear(ControllerStatus(online=online, epoch=epoch))
        assert mate.sighting == sighting, (online, epoch)


async def test_desired_and_cmd_of_one_deployment_are_one(server, tmp_path):
    async with running(tmp_path) as bench:
        command = deploy(server)
        bench.desire({"v": 1, "gen": 1, "deploy": command})
        bench.send(command)
        bench.send(command)
        await bench.ack("d1")

        assert {a.attempt for a in bench.acks("d1")} == {1}
        assert len(server.requests) == 1


async def test_desired_alone_brings_a_device_that_was_away_up_to_date(server, tmp_path):
    hub = MemoryHub()
    hub.deliver(
        f"device/{DEVICE}/desired", json.dumps({"gen": 3, "deploy": deploy(server, gen=3)}).encode(), 1, retain=True
    )
    async with running(tmp_path, hub=hub) as bench:
        assert (await bench.ack("d1")).state is Phase.SUCCEEDED
        assert bench.state.gen == 3


async def test_desired_without_an_opinion_changes_nothing_and_its_config_counts_once(tmp_path):
    async with running(tmp_path) as bench:
        bench.desire({"gen": 4, "config": {"rate": 9}})
        await bench.until(lambda: bench.agent.server.rate == 9, "the rate")
        await bench.do({"id": "c", "op": "config", "config": {"rate": 5}})
        bench.desire({"gen": 4, "config": {"rate": 9}})
        bench.desire({"gen": 5, "config": {"rate": "?"}})
        await bench.until(lambda: "bad_config" in bench.state.refused, "the refusal")

        assert bench.agent.server.rate == 5
        assert bench.state.active is None


async def test_damaged_and_empty_documents_are_survived(tmp_path):
    async with running(tmp_path) as bench:
        for suffix in ("desired", "status", "cmd"):
            bench.hub.deliver(f"device/{DEVICE}/{suffix}", b"", 1, retain=True)
        bench.hub.deliver(f"device/{DEVICE}/desired", b"{", 1, retain=True)
        bench.hub.deliver(f"device/{DEVICE}/status", b"{", 1, retain=False)
        bench.hub.deliver(CONTROLLER_STATUS, b"{", 1, retain=True)

        assert (await bench.do({"id": "p", "op": "ping"})).state is Phase.SUCCEEDED


async def test_an_id_with_another_payload_is_a_conflict(server, tmp_path):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server))
        bench.send(deploy(server, model="other"))
        await bench.until(lambda: any(a.seq == 0 for a in bench.acks("d1")), "the conflict")

        assert bench.acks("d1")[-1].error.code == "id_conflict"
        assert bench.state.active.model == "tiny"
        await bench.until(lambda: bench.state.refused == {"id_conflict": 1}, "the count")


async def test_a_retained_hand_typed_command_runs_once(tmp_path):
    hub = MemoryHub()
    hub.deliver(CMD.topic(DEVICE), b"ping", 1, retain=True)
    clock = [1_000.0]
    async with running(tmp_path, hub=hub, part_changes={"now": lambda: clock[0]}) as bench:
        await bench.until(bench.acks, "the answer")
        clock[0] = 9_000.0
        bench.hub.drop(DEVICE)
        before = len(bench.acks())
        bench.link.connect()
        await bench.until(lambda: len(bench.acks()) > before, "the repetition")

        assert {a.attempt for a in bench.acks()} == {1}


async def test_a_command_is_settled_only_when_it_is_on_disk(tmp_path):
    async with running(tmp_path) as bench:
        journal = bench.agent.desk.journal
        settled_at_write = []
        write = journal.put
        journal.put = lambda entry: (settled_at_write.append(len(bench.link.settled)), write(entry))[1]
        before = len([p for p in bench.link.settled if p.topic == CMD.topic(DEVICE)])
        await bench.do({"id": "p", "op": "ping"})

        assert len([p for p in bench.link.settled if p.topic == CMD.topic(DEVICE)]) == before + 1
        assert settled_at_write[0] <= len(bench.link.settled) - 1


async def test_a_journal_that_cannot_be_written_rejects_with_a_sentence(tmp_path):
    async with running(tmp_path) as bench:

        def full(_entry):
            raise StorageError("No space left on the device for p.json")

        put, bench.agent.desk.journal.put = bench.agent.desk.journal.put, full
        bench.send({"id": "p", "op": "ping"})
        await bench.until(lambda: bench.acks("p"), "the refusal")
        bench.agent.desk.journal.put = put

        assert bench.acks("p")[0].error.code == "disk_full"
        assert bench.acks("p")[0].attempt == 0


async def test_telemetry_comes_every_interval_with_rising_seq_and_a_source(server, tmp_path):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server))
        count = len(bench.said("telemetry"))
        await bench.until(lambda: len(bench.said("telemetry")) > count + 2, "telemetry")
        newest = bench.said("telemetry")[-1]
        numbers = [t["seq"] for t in bench.said("telemetry")]

        assert numbers == list(range(1, len(numbers) + 1))
        assert newest["energy"]["source"] == "simulated"
        assert newest["energy"]["energy_mj"] > 0
        assert newest["answer"]["label"] in "abc"
        assert newest["top1_pct"] == 100
        assert newest["inferences"] > 0
        assert newest["temperature_c"] > 30


async def test_what_was_sampled_offline_comes_later_as_a_batch_after_the_live_one(tmp_path):
    async with running(tmp_path) as bench:
        bench.controller(online=True)
        await bench.until(lambda: bench.said("telemetry"), "telemetry")
        bench.hub.drop(DEVICE)
        spool = bench.agent.history.spool
        await bench.until(lambda: (batch := spool.oldest()) and len(batch.samples) >= 2, "the spool")
        before = len(bench.said("telemetry"))
        bench.link.connect()
        await bench.until(lambda: any("batch" in t for t in bench.said("telemetry")), "the batch")
        came = bench.said("telemetry")[before:]

        assert "batch" not in came[0]
        batch = next(t for t in came if "batch" in t)
        assert all(sample["spooled"] for sample in batch["batch"])
        everything = [s["seq"] for t in bench.said("telemetry") for s in t.get("batch", [t])]
        assert sorted(everything) == list(range(1, max(everything) + 1))


async def test_history_waits_for_a_controller_and_what_it_may_not_have_is_sent_again(tmp_path):
    async with running(tmp_path) as bench:
        await bench.until(lambda: bench.said("telemetry"), "telemetry")
        bench.hub.drop(DEVICE)
        spool, said = bench.agent.history.spool, bench.agent.outgoing.history
        await bench.until(lambda: spool, "the spool")
        bench.link.connect()
        before = len(bench.said("telemetry"))
        await bench.until(lambda: len(bench.said("telemetry")) >= before + 3, "live samples")
        assert not any("batch" in each for each in bench.said("telemetry"))

        async def takes_the_controller_along(batch):
            bench.agent.outgoing.history = said
            taken = await said(batch)
            bench.controller(online=False)
            bench.controller(online=True)
            return taken

        bench.agent.outgoing.history = takes_the_controller_along
        bench.controller(online=True)
        await bench.until(lambda: not spool, "the end of the spool")
        first, again, *_ = (each["batch"] for each in bench.said("telemetry") if "batch" in each)
        assert again[: len(first)] == first


async def test_what_goes_by_while_the_controller_is_away_is_said_to_who_listens_and_comes_again_as_history(tmp_path):
    async with running(tmp_path) as bench:
        await bench.until(lambda: len(bench.said("telemetry")) >= 3, "live samples")
        assert not bench.agent.history.spool, "nobody is known who would store them"
        bench.controller(online=True)
        bench.controller(online=False)
        await bench.until(lambda: bench.agent.fleetmate.away, "the controller's absence")
        before = len(bench.said("telemetry"))
        await bench.until(lambda: len(bench.said("telemetry")) >= before + 3, "live samples")
        bench.controller(online=True)
        await bench.until(lambda: bench.said("telemetry") and not bench.agent.history.spool, "the end of the spool")
        said = bench.said("telemetry")

    live = {each["seq"] for each in said[before:] if "batch" not in each}
    came = {sample["seq"] for each in said for sample in each.get("batch", ())}
    assert len(came & live) >= 3


async def test_an_agent_that_ends_does_not_send_again_what_a_controller_had_time_to_take(tmp_path):
    async with running(tmp_path, interval_s=60.0) as bench:
        spool, history = bench.agent.history.spool, bench.agent.history
        spool.add(bench.agent.sampler.sample())
        bench.controller(online=True)
        await bench.until(lambda: bench.agent.fleetmate.in_sight, "a controller")
        history.follow(bench.agent.sampler.sample())
        await bench.until(lambda: bench.said("telemetry"), "the batch")
        assert spool

    assert not spool


async def test_live_samples_keep_their_rhythm_while_history_is_on_its_way(tmp_path):
    async with running(tmp_path) as bench:
        bench.controller(online=True)
        await bench.until(lambda: bench.said("telemetry"), "telemetry")
        bench.hub.drop(DEVICE)
        await bench.until(lambda: bench.agent.history.spool, "the spool")
        sending = []

        async def slowly(batch):
            sending.append(batch)
            await asyncio.Event().wait()

        bench.agent.outgoing.history = slowly
        bench.link.connect()
        await bench.until(lambda: sending, "history")
        before = len(bench.said("telemetry"))
        await bench.until(lambda: len(bench.said("telemetry")) >= before + 3, "live samples")

        assert len(sending) == 1
        assert bench.agent.history.spool


async def test_over_budget_in_service_shows_in_the_state(server, tmp_path):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server, budget={"energy_mj": 1e6}))
        await bench.until(lambda: bench.state.budget is not None, "the budget")
        assert bench.state.budget.status == "ok"
        held = bench.agent.server.held
        bench.agent.server.held = replace(held, budget_mj=1e-9)

        await bench.until(lambda: bench.state.budget.status == "over_budget", "the alarm")
        assert bench.state.budget.source == "simulated"


async def test_a_log_line_reaches_the_broker(tmp_path):
    async with running(tmp_path) as bench:
        bench.agent.log_lines.handle(logging.makeLogRecord({"msg": "hello", "levelno": logging.WARNING}))
        await bench.until(lambda: bench.said("log"), "the line")

        assert bench.said("log")[0]["msg"] == "hello"
        assert bench.said("log")[0]["level"] == "warning"
