"""Deploying what is not in the store yet: it waits in `resolving` while the workshop makes it, and then goes on."""

import json

import pytest

from broker.messages import RuntimeInfo
from controller.workshop.jobs import JobState
from tests.controlling import controller
from tests.listing import listed_network
from tests.workshop import WITH_TORCH

MODEL = "tinynet"
GENEROUS_MJ = 100_000.0


@pytest.fixture
def start(tmp_path):
    """A function that runs a controller whose worker does what it is told; the same data folder each time."""

    def begin(worker="makes", **more):
        small = listed_network(MODEL, gmacs=0.02, dw_gmacs=0.001)
        return controller(tmp_path, worker=worker, listed={MODEL: small}, **more)

    return begin


async def told(running, deployment_id):
    return (await running.get(f"/api/deployments/{deployment_id}"))["deployment"]


async def is_resolving(running, deployment_id, words):
    now = await told(running, deployment_id)
    return now["phase"] == "resolving" and words in (now["reason"] or "")


def jobs_of(running):
    return running.parts.workshop.jobs.find()


async def type_by_hand(running, payload):
    async with running.hub.link("a-person") as person:
        await person.publish("device/pi5-1/cmd", json.dumps(payload).encode(), qos=1)


async def test_a_listed_model_is_made_while_its_deployment_waits_and_then_sent(start, tmp_path):
    async with start("waits") as running, running.joined() as device:
        answer = await running.deploy(device_id="pi5-1", model_name=MODEL, max_energy_mj=GENEROUS_MJ)
        deployment_id = answer.json()["deployment_id"]
        words = f"making {MODEL} as onnx: waiting to be let go"
        await running.until(lambda: is_resolving(running, deployment_id, words))
        (tmp_path / "go").touch()
        command = await device.next_command("deploy")
        life = await told(running, deployment_id)

    assert answer.status_code == 202
    assert command.id == deployment_id
    assert command.artifact.sha256 == life["artifact_sha256"]
    assert life["job_id"].startswith("job_")
    assert [event["phase"] for event in life["events"]][:6] == [
        *("requested", "predicted", "gated", "resolving", "ready", "queued")
    ]


async def test_a_request_typed_by_hand_is_completed_when_its_model_is_made(start):
    async with start() as running, running.joined() as device:
        await type_by_hand(running, {"op": "deploy", "id": "t1", "model": MODEL})
        request, complete = await device.next_command("deploy"), await device.next_command("deploy")

    assert request.artifact is None
    assert complete.id == "t1"
    assert complete.artifact is not None


async def test_what_cannot_be_made_fails_with_the_reason_at_once_the_second_time(start):
    async with start("cannot") as running, running.joined() as device:
        first = (await running.deploy(device_id="pi5-1", model_name=MODEL)).json()["deployment_id"]
        await running.until_phase(first, "failed")
        failed = await told(running, first)
        await type_by_hand(running, {"op": "deploy", "id": "t1", "model": MODEL})
        cancel = await device.next_command("cancel")

        assert len(jobs_of(running)) == 1
    assert failed["code"] == cancel.code == "unsupported_operator"
    assert "aten::strange" in failed["reason"]
    assert "(since " in cancel.reason


async def test_a_model_that_came_out_dearer_than_its_plan_is_refused_after_all(start):
    async with start("makes_a_large_one") as running, running.joined():
        dry = (await running.deploy(device_id="pi5-1", model_name=MODEL, dry_run=True)).json()
        budget = {"max_energy_mj": dry["verdict"]["high_mj"] * 1.01}
        begun = (await running.deploy(device_id="pi5-1", model_name=MODEL, **budget)).json()
        await running.until_phase(begun["deployment_id"], "refused")
        refused = await told(running, begun["deployment_id"])

    assert begun["verdict"]["allowed"] is True
    assert refused["code"] == "over_budget"
    assert refused["verdict"]["allowed"] is False
    assert refused["predicted"]["energy_mj"] > begun["verdict"]["energy_mj"]


async def test_a_device_that_reads_another_format_gets_a_stored_model_in_that(start):
    reader = RuntimeInfo(name="ai-edge-litert", version="2", formats=("tflite",))
    async with start() as running, running.joined(info={"formats": ("tflite",), "runtimes": (reader,)}) as device:
        begun = (await running.deploy(device_id="pi5-1", model_name="digits_mlp")).json()
        command = await device.next_command("deploy")
        [job] = jobs_of(running)

    assert command.id == begun["deployment_id"]
    assert command.artifact.format == job.order.format == "tflite"
    assert job.order.source.kind == "onnx"


async def test_a_format_that_cannot_be_made_leaves_the_next_that_the_device_reads(start):
    reader = RuntimeInfo(name="ai-edge-litert", version="2", formats=("tflite",))
    other = RuntimeInfo(name="onnxruntime", version="1", formats=("onnx",))
    both = {"formats": ("tflite", "onnx"), "runtimes": (reader, other)}
    async with start("cannot_as_tflite") as running, running.joined(info=both) as device:
        await running.deploy(device_id="pi5-1", model_name=MODEL)
        command = await device.next_command("deploy")

    assert command.artifact.format == "onnx"


async def test_a_cancelled_deployment_gives_its_job_up_unless_somebody_else_wants_it(start):
    async with start("hangs") as running, running.joined(), running.joined("pi5-2"):
        ids = [
            (await running.deploy(device_id=device_id, model_name=MODEL)).json()["deployment_id"]
            for device_id in ("pi5-1", "pi5-2")
        ]
        for each in ids:
            await running.until(lambda each=each: is_resolving(running, each, "thinking"))
        await running.post(f"/api/deployments/{ids[0]}/cancel")
        running.parts.service.resolving.go_on(running.parts.clock())
        still = jobs_of(running)[0].state
        await running.post(f"/api/deployments/{ids[1]}/cancel")
        [job] = jobs_of(running)
        ended = await running.parts.workshop.end_of(job.id)

    assert still is JobState.RUNNING
    assert (ended.state, ended.message) == (JobState.CANCELLED, "no deployment waits for it any more")


async def test_what_a_person_asked_for_goes_on_without_the_deployment(start, tmp_path):
    async with start("waits") as running, running.joined():
        deployment_id = (await running.deploy(device_id="pi5-1", model_name=MODEL)).json()["deployment_id"]
        await running.until(lambda: is_resolving(running, deployment_id, "waiting to be let go"))
        await running.post("/api/models/download", model_name=MODEL, wait=False)
        await running.post(f"/api/deployments/{deployment_id}/cancel")
        running.parts.service.resolving.go_on(running.parts.clock())
        (tmp_path / "go").touch()
        [job] = jobs_of(running)

        assert (await running.parts.workshop.end_of(job.id)).state is JobState.DONE


async def test_a_job_that_somebody_cancels_fails_the_deployment_that_waits_for_it(start):
    async with start("hangs") as running, running.joined():
        deployment_id = (await running.deploy(device_id="pi5-1", model_name=MODEL)).json()["deployment_id"]
        await running.until(lambda: is_resolving(running, deployment_id, "thinking"))
        await running.post(f"/api/jobs/{jobs_of(running)[0].id}/cancel")
        await running.until_phase(deployment_id, "failed")

        assert (await told(running, deployment_id))["code"] == "cancelled"


async def test_a_controller_that_stopped_in_the_middle_goes_on_in_its_next_life(start):
    async with start("hangs") as before, before.joined():
        hub = before.hub
        deployment_id = (await before.deploy(device_id="pi5-1", model_name=MODEL)).json()["deployment_id"]
        await before.until(lambda: is_resolving(before, deployment_id, "thinking"))
    async with start("makes", hub=hub, epoch="e2") as after, after.joined() as device:
        command = await device.next_command("deploy")

    assert command.id == deployment_id


async def test_a_newer_deployment_that_needs_nothing_made_replaces_one_that_does(start):
    async with start("hangs") as running, running.joined() as device:
        slow = (await running.deploy(device_id="pi5-1", model_name=MODEL)).json()["deployment_id"]
        await running.until(lambda: is_resolving(running, slow, "thinking"))
        quick = (await running.deploy(device_id="pi5-1", model_name="digits_mlp")).json()["deployment_id"]
        command = await device.next_command("deploy")
        await running.parts.workshop.end_of(jobs_of(running)[0].id)

        assert command.id == quick
        assert await running.phase(slow) == "superseded"


async def test_a_device_that_reads_no_format_of_the_workshop_is_refused(start):
    async with start() as running, running.joined(info={"formats": ("engine",), "runtimes": ()}):
        answer = await running.deploy(device_id="pi5-1", model_name=MODEL)

    assert (answer.status_code, answer.json()["code"]) == (409, "no_format")


@WITH_TORCH
async def test_a_network_of_timm_goes_the_whole_way_from_its_name_to_the_command(tmp_path):
    name = "mobilenetv3_small_050"
    async with controller(tmp_path, worker=None) as running, running.joined() as device:
        made = (await running.post("/api/models/download", model_name=name, untrained=True)).json()
        model = (await running.get(f"/api/models/named/{name}_untrained"))["model"]
        await running.deploy(device_id="pi5-1", model_name=f"{name}_untrained")
        command = await device.next_command("deploy")
        manifest = running.parts.service.artifacts.manifest(made["sha256"])

    assert command.artifact.sha256 == made["sha256"]
    assert manifest.about.golden.cosine > 0.9999
    assert manifest.about.made_by["timm"]
    assert model["trained"] is False
    assert round(model["params_m"], 1) == 1.6
