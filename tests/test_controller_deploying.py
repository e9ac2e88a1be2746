"""Deploying through the controller: one gate and one life, whichever way the request came."""

import asyncio
import json

import pytest

from broker.commands import Ack, ArtifactRef, Command
from broker.messages import ActiveModel, CurrentCommand, LastCommand, RuntimeInfo
from broker.phases import Phase
from broker.topics import ACK, CMD
from tests.controlling import controller
from tests.tiny_tflite import tiny_tflite

MODEL = "digits_cnn_s"
GENEROUS_MJ = 100_000.0
TINY_MJ = 0.001


@pytest.fixture
async def running(tmp_path):
    async with controller(tmp_path) as whole:
        yield whole


async def type_by_hand(running, device_id, payload):
    """Do what mosquitto_pub does."""
    async with running.hub.link("a-person") as person:
        await person.publish(f"device/{device_id}/cmd", payload, qos=1)


async def test_within_budget_the_complete_command_is_sent_and_the_device_carries_it_to_the_end(running):
    async with running.joined() as device:
        answer = await running.deploy(device_id="pi5-1", model_name=MODEL, max_energy_mj=GENEROUS_MJ)
        deployment_id = answer.json()["deployment_id"]
        command = await device.next_command("deploy")
        for seq, phase in enumerate(("accepted", "downloading", "probing", "active", "succeeded"), start=1):
            await device.ack(deployment_id, phase, seq)
        await running.until_phase(deployment_id, "succeeded")
        told = (await running.get(f"/api/deployments/{deployment_id}"))["deployment"]

    assert answer.status_code == 202
    assert (command.id, command.model, command.budget.energy_mj) == (deployment_id, MODEL, GENEROUS_MJ)
    assert command.artifact.url.endswith(f"/models/sha256/{command.artifact.sha256}")
    assert command.predict.high_mj >= command.predict.energy_mj
    phases = [event["phase"] for event in told["events"]]
    assert phases[:6] == ["requested", "predicted", "gated", "resolving", "ready", "queued"]
    assert phases[-3:] == ["probing", "active", "succeeded"]


async def test_a_model_of_which_the_device_runs_no_format_is_refused_with_the_reason(running):
    old = RuntimeInfo(name="onnxruntime", version="1.8.1", formats=("onnx",))
    because = f"no format of {MODEL} runs on pi5-1: onnx opset 15 > 14 of onnxruntime 1.8.1"
    async with running.joined(info={"runtimes": (old,)}):
        asked = {"device_id": "pi5-1", "model_name": MODEL, "force": True, "reason": "to see"}
        dry = (await running.deploy(**asked, dry_run=True)).json()["verdict"]
        answer = await running.deploy(**asked)
        measured = await running.post("/api/device/benchmark", device_id="pi5-1", model_name=MODEL)

    assert (dry["allowed"], dry["verdict"], dry["sentence"]) == (False, "unrunnable", because)
    assert (answer.status_code, answer.json()["code"], answer.json()["error"]) == (409, "no_format", because)
    assert (measured.json()["success"], measured.json()["error"]) == (False, because)


async def test_a_device_gets_the_format_that_its_first_runtime_reads(running):
    tflite = running.parts.service.artifacts.add(tiny_tflite(), model=MODEL, format="tflite")
    both = tuple(
        RuntimeInfo(name=name, version="2.3.0", formats=(form,))
        for name, form in (("ai-edge-litert", "tflite"), ("onnxruntime", "onnx"))
    )
    async with running.joined(info={"runtimes": both, "formats": ("tflite", "onnx")}) as device:
        await running.deploy(device_id="pi5-1", model_name=MODEL)
        command = await device.next_command("deploy")

    assert (command.artifact.format, command.artifact.sha256) == ("tflite", tflite.sha256)


async def test_over_budget_is_refused_the_same_by_rest_and_by_hand_and_says_what_would_fit(running):
    async with running.joined() as device:
        dry = (
            await running.deploy(device_id="pi5-1", model_name=MODEL, max_energy_mj=GENEROUS_MJ, dry_run=True)
        ).json()
        budget_mj = dry["verdict"]["energy_mj"] * 0.8
        answer = await running.deploy(device_id="pi5-1", model_name=MODEL, max_energy_mj=budget_mj)
        typed = json.dumps({"op": "deploy", "id": "by-hand", "model": MODEL, "max_energy_mj": budget_mj})
        await type_by_hand(running, "pi5-1", typed.encode())
        cancel = await device.next_command("cancel")

    refusal = answer.json()
    assert answer.status_code == 409
    assert refusal["code"] == cancel.code == "over_budget"
    assert refusal["error"] == cancel.reason
    assert cancel.target == "by-hand"
    assert "mJ" in refusal["error"]
    assert "would fit" in refusal["error"]
    assert await running.phase("by-hand") == await running.phase(refusal["deployment_id"]) == "refused"


async def test_a_request_typed_by_hand_is_completed_under_the_same_id(running):
    async with running.joined() as device:
        typed = json.dumps({"op": "deploy", "model": MODEL, "max_energy_mj": GENEROUS_MJ}).encode()
        await type_by_hand(running, "pi5-1", typed)
        request, complete = await device.next_command("deploy"), await device.next_command("deploy")
        desired = await device.next_desired()

    assert request.artifact is None
    assert complete.id.startswith("h-")
    assert complete.artifact is not None
    assert complete.gen == desired.gen == 1
    assert desired.deploy.id == complete.id


async def test_the_same_typing_within_a_minute_is_one_deployment(running):
    async with running.joined() as device:
        typed = json.dumps({"op": "deploy", "model": MODEL, "max_energy_mj": GENEROUS_MJ}).encode()
        for _ in range(3):
            await type_by_hand(running, "pi5-1", typed)
        await device.next_command("deploy")
        await device.sample(1)
        await running.until(lambda: has_reading(running))

    assert (await running.get("/api/deployments"))["total"] == 1


async def has_reading(running, device_id="pi5-1"):
    return (await running.get(f"/api/devices/{device_id}"))["device"]["latest"] is not None


@pytest.mark.parametrize(("model", "code"), [("no_such_model", "unknown_model"), ("digits_cnn_z", "unknown_model")])
async def test_an_unknown_model_is_answered_with_the_nearest_ones_on_the_wire_too(running, model, code):
    async with running.joined() as device:
        answer = await running.deploy(device_id="pi5-1", model_name=model)
        await type_by_hand(running, "pi5-1", json.dumps({"op": "deploy", "model": model}).encode())
        cancel = await device.next_command("cancel")

    assert answer.status_code == 404
    assert answer.json()["code"] == cancel.code == code
    assert answer.json()["hint"] in cancel.reason


async def test_a_refusal_of_a_very_long_name_still_reaches_the_person_who_typed_it(running):
    async with running.joined() as device:
        await type_by_hand(running, "pi5-1", json.dumps({"op": "deploy", "id": "t1", "model": "m" * 990}).encode())
        cancel = await device.next_command("cancel")
        await type_by_hand(running, "pi5-1", json.dumps({"op": "deploy", "id": "t2", "model": "m" * 9_000}).encode())
        await running.until(lambda: is_counted(running, "oversize"))

    assert cancel.target == "t1"
    assert cancel.code == "unknown_model"
    assert (await running.get("/api/deployments"))["total"] == 1


async def is_counted(running, name):
    return running.parts.service.store.counters().get(name, 0) > 0


async def test_a_board_without_any_data_is_told_to_measure_first_and_its_measurement_opens_the_gate(running):
    async with running.joined("bbb-1", device_type="beaglebone_black", info={"simulated": True}) as device:
        refused = await running.deploy(device_id="bbb-1", model_name=MODEL, max_energy_mj=GENEROUS_MJ)
        order = await running.post("/api/devices/bbb-1/command", op="bench", model=MODEL)
        bench = await device.next_command("bench")
        result = {"model": MODEL, "energy_mj": 250.0, "energy_source": "simulated", "latency_p95_ms": 40.0}
        await device.ack(bench.id, "succeeded", 2, op="bench", result=result)
        await running.until(lambda: is_measured(running, order.json()["command_id"]))
        allowed = await running.deploy(device_id="bbb-1", model_name=MODEL, max_energy_mj=300.0)
        over = await running.deploy(device_id="bbb-1", model_name=MODEL, max_energy_mj=200.0)

    assert (refused.status_code, refused.json()["code"]) == (409, "no_prediction")
    assert "devices measure bbb-1" in refused.json()["error"]
    assert bench.artifact is not None
    assert allowed.status_code == 202
    assert allowed.json()["verdict"]["basis"] == "measurement"
    assert over.json()["code"] == "over_budget"
    assert "simulated" in over.json()["error"]


async def is_measured(running, command_id):
    return (await running.get(f"/api/commands/{command_id}"))["command"]["state"] == "succeeded"


async def test_an_override_needs_a_reason_and_keeps_it(running):
    async with running.joined() as device:
        without = await running.deploy(device_id="pi5-1", model_name=MODEL, max_energy_mj=TINY_MJ, force=True)
        forced = await running.deploy(
            device_id="pi5-1", model_name=MODEL, max_energy_mj=TINY_MJ, force=True, reason="lab bench"
        )
        await device.next_command("deploy")
        told = (await running.get(f"/api/deployments/{forced.json()['deployment_id']}"))["deployment"]

    assert (without.status_code, without.json()["field"]) == (422, "reason")
    assert forced.status_code == 202
    assert told["forced_reason"] == "lab bench"
    assert told["verdict"]["verdict"] == "forced"


async def test_a_dry_run_leaves_no_trace(running):
    async with running.joined():
        answer = await running.deploy(device_id="pi5-1", model_name=MODEL, max_energy_mj=TINY_MJ, dry_run=True)

    assert answer.status_code == 200
    assert answer.json()["verdict"]["allowed"] is False
    assert (await running.get("/api/deployments"))["total"] == 0


async def test_a_device_that_is_away_gets_its_deployment_when_it_comes_back(running):
    async with running.joined() as device:
        await device.leave("shutdown")
        await running.until(lambda: is_offline(running))
        answer = (await running.deploy(device_id="pi5-1", model_name=MODEL)).json()
        waiting = (await running.get(f"/api/deployments/{answer['deployment_id']}"))["deployment"]
        await device.join()
        command = await device.next_command("deploy")
        await running.until_phase(answer["deployment_id"], "sent")

    assert (waiting["phase"], waiting["reason"]) == ("queued", "offline")
    assert command.id == answer["deployment_id"]


async def is_offline(running, device_id="pi5-1"):
    return running.parts.service.store.device(device_id)["online"] == 0


async def test_a_late_will_of_an_older_session_is_ignored_and_counted(running):
    async with running.joined() as device:
        device.session = "s0"
        await device.leave("lost")
        await device.ack("whatever", "succeeded", 1, op="ping")
        await running.until(lambda: knows_command(running, "whatever"))

    assert not await is_offline(running)
    assert running.parts.service.store.counters()["late_will"] == 1


async def knows_command(running, command_id):
    return running.parts.service.commands.get(command_id) is not None


async def test_a_newer_deployment_replaces_an_older_one_that_nobody_began(running):
    async with running.joined() as device:
        await device.leave("shutdown")
        await running.until(lambda: is_offline(running))
        first = (await running.deploy(device_id="pi5-1", model_name="digits_mlp")).json()["deployment_id"]
        second = (await running.deploy(device_id="pi5-1", model_name=MODEL)).json()["deployment_id"]

        assert await running.phase(first) == "superseded"
        assert await running.phase(second) == "queued"


async def test_acks_that_come_twice_out_of_order_or_from_another_device_change_nothing(running):
    async with running.joined() as device, running.joined("jetson-1", device_type="jetson_nano_2gb") as stranger:
        deployment_id = (await running.deploy(device_id="pi5-1", model_name=MODEL)).json()["deployment_id"]
        await device.next_command("deploy")
        await device.ack(deployment_id, "probing", 5)
        await stranger.ack(deployment_id, "failed", 99)
        await device.ack(deployment_id, "downloading", 3)
        await device.ack(deployment_id, "probing", 5)
        await device.ack(deployment_id, "succeeded", 6)
        await running.until_phase(deployment_id, "succeeded")
        events = (await running.get(f"/api/deployments/{deployment_id}"))["deployment"]["events"]

    phases = [event["phase"] for event in events]
    assert "failed" not in phases
    assert "downloading" not in phases
    assert phases.count("probing") == 1
    assert running.parts.service.store.counters()["foreign_ack"] == 1


async def test_a_cancelled_deployment_ends_when_the_device_says_so(running):
    async with running.joined() as device:
        deployment_id = (await running.deploy(device_id="pi5-1", model_name=MODEL)).json()["deployment_id"]
        await device.next_command("deploy")
        await device.ack(deployment_id, "downloading", 2)
        await running.until_phase(deployment_id, "downloading")
        await running.post(f"/api/deployments/{deployment_id}/cancel", reason="changed my mind")
        cancel = await device.next_command("cancel")
        await device.ack(deployment_id, "cancelled", 3)
        await running.until_phase(deployment_id, "cancelled")
        again = await running.post(f"/api/deployments/{deployment_id}/cancel")

    assert (cancel.target, cancel.reason) == (deployment_id, "changed my mind")
    assert again.status_code == 409


async def test_a_complete_command_typed_by_hand_is_adopted_so_that_it_is_not_undone(running):
    async with running.joined() as device:
        artifact = ArtifactRef(url="http://127.0.0.1/m", sha256="ab" * 32, size=3)
        typed = Command(op="deploy", id="mine", model="my_own", artifact=artifact)
        await type_by_hand(running, "pi5-1", CMD.encode(typed))
        desired = await device.next_desired()
        await device.ack("mine", "succeeded", 7)
        await running.until_phase("mine", "succeeded")

    assert desired.deploy.id == "mine"
    assert desired.deploy.artifact == artifact


async def test_a_controller_that_comes_later_learns_from_retained_state_alone(tmp_path):
    async with controller(tmp_path) as before:
        hub = before.hub
        device = before.device()
        async with device:
            await device.join()
            await before.until(lambda: before.knows("pi5-1"))
            done = (await before.deploy(device_id="pi5-1", model_name="digits_mlp")).json()["deployment_id"]
            await device.next_command("deploy")
            await before.until_phase(done, "sent")
    hub.link("controller")  # its session is gone with it: nothing that was queued for it comes
    async with hub.link("pi5-1") as away:
        speaker = before.device()
        speaker.link = away
        last = LastCommand(id=done, op="deploy", state=Phase.SUCCEEDED, attempt=1, seq=9, result={"energy_mj": 1.0})
        active = ActiveModel(model="digits_mlp", artifact_sha256="aa", runtime="onnxruntime", deployment_id=done)
        await speaker.report(last_cmds=(last,), active=active)
    async with controller(tmp_path, hub=hub, epoch="e2") as after:
        await after.until_phase(done, "succeeded")


async def test_a_request_that_was_typed_while_nobody_listened_is_adopted_from_retained_state(tmp_path):
    async with controller(tmp_path) as running, running.joined() as device:
        await device.waits_for_controller("h-000000000001", MODEL, GENEROUS_MJ)
        complete = await device.next_command("deploy")

    assert complete.id == "h-000000000001"
    assert complete.artifact is not None


async def test_a_device_that_waits_for_approval_gets_no_deployment(tmp_path):
    async with controller(tmp_path, registration="approve") as running, running.joined() as device:
        refused = await running.deploy(device_id="pi5-1", model_name=MODEL)
        await type_by_hand(running, "pi5-1", json.dumps({"op": "deploy", "model": MODEL}).encode())
        cancel = await device.next_command("cancel")
        await running.post("/api/devices/pi5-1/approve")
        allowed = await running.deploy(device_id="pi5-1", model_name=MODEL)

    assert (refused.status_code, refused.json()["code"]) == (409, "not_approved")
    assert cancel.code == "not_approved"
    assert allowed.status_code == 202


async def test_acks_of_a_typed_request_are_one_story_with_its_completion(running):
    async with running.joined() as device:
        typed = json.dumps({"op": "deploy", "id": "t1", "model": MODEL}).encode()
        await type_by_hand(running, "pi5-1", typed)
        await device.next_command("deploy")
        await device.ack("t1", "accepted", 1)
        await device.say(ACK, Ack(id="t1", op="deploy", state=Phase.WAITING, reason="controller", seq=2))
        await device.next_command("deploy")
        await device.ack("t1", "downloading", 3)
        await running.until_phase("t1", "downloading")
        await device.ack("t1", "succeeded", 9)
        await running.until_phase("t1", "succeeded")
        await asyncio.sleep(0)

    assert running.parts.service.outbox.due(9e9) == []


async def test_a_request_that_waits_for_us_in_the_reported_state_still_gets_its_completion(running):
    service = running.parts.service
    async with running.joined() as device:
        typed = json.dumps({"op": "deploy", "id": "t1", "model": MODEL}).encode()
        await type_by_hand(running, "pi5-1", typed)
        await running.until_phase("t1", "sent")
        waiting = LastCommand(id="t1", op="deploy", state=Phase.WAITING, seq=2, msg="controller")
        await device.report(last_cmds=(waiting,))
        await running.until(lambda: heard(service, "t1@pi5-1", 2))

        assert await running.phase("t1") == "sent"
        assert [row["command_id"] for row in service.outbox.due(9e9)] == ["t1"]


async def heard(service, deployment_id, seq):
    return service.deployments.get(deployment_id).seq == seq


async def test_a_command_is_noted_as_sent_before_it_goes(running):
    """Killed right after publishing, we must not believe that the device cannot have heard of it."""
    async with running.joined() as device:
        service, said = running.parts.service, []

        async def watching(topic, payload, *, qos=0, retain=False):
            deployments = service.deployments.find(open_only=True)
            said.append((topic, [each.phase for each in deployments]))
            await publish(topic, payload, qos=qos, retain=retain)

        publish, running.parts.ingest.link.publish = running.parts.ingest.link.publish, watching
        await running.deploy(device_id="pi5-1", model_name=MODEL, max_energy_mj=GENEROUS_MJ)
        await device.next_command("deploy")

    assert dict(said)[CMD.topic("pi5-1")] == [Phase.SENT]


async def test_what_was_cancelled_while_the_device_was_away_reaches_it_as_a_cancel_and_never_as_a_deploy(running):
    async with running.joined() as device:
        await device.leave("shutdown")
        await running.until(lambda: is_offline(running))
        deployment_id = (await running.deploy(device_id="pi5-1", model_name=MODEL)).json()["deployment_id"]
        await running.post(f"/api/deployments/{deployment_id}/cancel", reason="not needed")
        phase = await running.phase(deployment_id)
        await device.join()
        cancel = await device.next_command("cancel")
        device.commands.put_nowait(Command(op="ping"))
        after = await device.next_command("ping")
        wanted = [await device.next_desired() for _ in range(device.desired.qsize())]

    assert phase == "cancelled"
    assert (cancel.target, cancel.reason) == (deployment_id, "not needed")
    assert after.op == "ping"
    assert wanted[-1].deploy is None


@pytest.mark.parametrize("end", ["expired", "superseded", "rolled_back"])
async def test_an_end_that_the_device_decided_is_the_deployments_and_is_no_longer_desired(running, end):
    async with running.joined() as device:
        deployment_id = (await running.deploy(device_id="pi5-1", model_name=MODEL)).json()["deployment_id"]
        await device.next_command("deploy")
        await device.ack(deployment_id, end, 5)
        await running.until_phase(deployment_id, end)
        wanted = running.parts.service.store.device("pi5-1")["desired"]

    assert wanted.get("deploy") is None


async def test_a_command_in_the_middle_is_taken_from_retained_state_alone(tmp_path):
    async with controller(tmp_path) as before:
        async with before.joined() as device:
            under_way = (await before.deploy(device_id="pi5-1", model_name=MODEL)).json()["deployment_id"]
            await device.next_command("deploy")
            await before.until_phase(under_way, "sent")
        hub = before.hub
    hub.link("controller")  # what was queued for it is gone
    async with hub.link("pi5-1") as away:
        speaker = before.device()
        speaker.link = away
        at_work = CurrentCommand(id=under_way, op="deploy", state=Phase.DOWNLOADING, attempt=2, seq=7, gen=1)
        await speaker.report(current_cmd=at_work)
    async with controller(tmp_path, hub=hub, epoch="e2") as after:
        await after.until_phase(under_way, "downloading")
        kept = after.parts.service.known_deployment(under_way)
        waiting = [row for row in after.parts.service.outbox.due(9e9) if not row["retain"]]

    assert (kept.attempt, kept.seq) == (2, 7)
    assert waiting == []


async def test_what_a_device_had_already_is_said_and_counted(running):
    async with running.joined() as device:
        deployment_id = (await running.deploy(device_id="pi5-1", model_name=MODEL)).json()["deployment_id"]
        await device.next_command("deploy")
        had = {"already_present": True, "energy_mj": 1.0, "energy_source": "simulated"}
        await device.ack(deployment_id, "succeeded", 9, reason="already on the device", result=had)
        await running.until_phase(deployment_id, "succeeded")
        told = (await running.get(f"/api/deployments/{deployment_id}"))["deployment"]
        counted = (await running.get("/api/status"))["messages"]["noted"]

    assert told["reason"] == "already on the device"
    assert told["result"]["already_present"] is True
    assert counted["already_on_device"] == 1


async def test_each_thing_that_a_device_waits_for_is_a_step_of_the_deployments_life(running):
    async with running.joined() as device:
        deployment_id = (await running.deploy(device_id="pi5-1", model_name=MODEL)).json()["deployment_id"]
        await device.next_command("deploy")
        for seq, (reason, detail) in enumerate([("soc", "12 %"), ("soc", "13 %"), ("temp", "80 °C")], start=2):
            await device.ack(deployment_id, "waiting", seq, reason=reason, detail=detail, eta=1_900_000_000.0 + seq)
        await device.ack(deployment_id, "downloading", 9)
        await running.until_phase(deployment_id, "downloading")
        told = (await running.get(f"/api/deployments/{deployment_id}"))["deployment"]

    assert [each["reason"] for each in told["events"] if each["phase"] == "waiting"] == ["12 %", "80 °C"]
    assert (told["code"], told["eta"]) == (None, None)
