"""Making models through REST: wait for the file or watch the job; why there is none is said in the one form."""

import asyncio

import pytest

from controller.workshop.jobs import JobState
from tests.controlling import controller
from tests.listing import listed_network

LISTED = {"tinynet": listed_network("tinynet"), "bare": listed_network("bare", None)}


@pytest.fixture
def start(tmp_path):
    """A function that runs a controller whose worker does what it is told."""

    def begin(worker="makes", **more):
        return controller(tmp_path, worker=worker, listed=LISTED, **more)

    return begin


async def test_a_download_waits_for_its_file_which_is_served_under_its_path(start):
    async with start() as running:
        answer = await running.post("/api/models/download", model_name="tinynet")
        made = answer.json()
        content = (await running.http.get(made["path"])).content
        again = (await running.post("/api/models/download", model_name="tinynet")).json()
        models = (await running.get("/api/models/all"))["models"]

    assert answer.status_code == 200
    assert (made["model"], made["format"], made["size"]) == ("tinynet", "onnx", len(content))
    assert made["job"]["state"] == "done"
    assert made["job"]["source"] == "timm: tinynet.in1k"
    assert again == made | {"job": None, "message": "tinynet was here already"}
    assert "tinynet" in {model["name"] for model in models}


async def test_one_who_does_not_wait_watches_the_job(start, tmp_path):
    async with start("waits") as running:
        answer = await running.post("/api/models/download", model_name="tinynet", wait=False)
        job_id = answer.json()["job"]["id"]

        async def working():
            return (await running.get(f"/api/jobs/{job_id}"))["job"]["step"] == "waiting to be let go"

        await running.until(working)
        (tmp_path / "go").touch()
        done = await running.parts.workshop.end_of(job_id)
        listed = await running.get("/api/jobs", state="done")

    assert answer.status_code == 202
    assert done.state is JobState.DONE
    assert (listed["total"], listed["jobs"][0]["id"]) == (1, job_id)


async def test_a_variant_is_a_model_with_a_name_of_its_own(start):
    async with start() as running:
        made = (await running.post("/api/models/convert", model_name="tinynet", format="onnx", variant="fp16")).json()
        random = (await running.post("/api/models/download", model_name="tinynet", untrained=True)).json()

    assert made["model"] == "tinynet-fp16"
    assert random["model"] == "tinynet_untrained"
    assert random["job"]["source"] == "timm: tinynet (random weights)"


@pytest.mark.parametrize(
    ("worker", "status", "code"),
    [
        ("cannot", 422, "unsupported_operator"),
        ("has_no_hub", 503, "hub_unreachable"),
        ("has_no_torch", 501, "extra_missing"),
        ("knows_no_such", 404, "unknown_model"),
        ("fills_the_disk", 507, "disk_full"),
        ("is_killed", 422, "worker_died"),
    ],
)
async def test_why_there_is_no_file_is_a_sentence_with_its_status(start, worker, status, code):
    async with start(worker) as running:
        answer = await running.post("/api/models/download", model_name="tinynet")

    said = answer.json()
    assert (answer.status_code, said["code"], said["success"]) == (status, code, False)
    assert said["error"]
    assert said["hint"]
    assert said["job"].startswith("job_")


async def test_nobody_waits_twice_for_a_reason_that_lasts(start):
    async with start("cannot") as running:
        first = (await running.post("/api/models/download", model_name="tinynet")).json()
        second = await running.post("/api/models/download", model_name="tinynet", wait=False)
        forced = await running.post("/api/models/download", model_name="tinynet", wait=False, again=True)

    remembered = second.json()
    assert (second.status_code, remembered["job"]) == (422, first["job"])
    assert f"(since {remembered['since'][:10]}" in remembered["error"]
    assert "again" in remembered["hint"]
    assert forced.status_code == 202


async def test_cancelling_frees_those_who_wait(start):
    async with start("hangs") as running:
        waiting = asyncio.create_task(running.post("/api/models/download", model_name="tinynet"))

        async def working():
            return (await running.get("/api/jobs", state="running"))["total"] == 1

        await running.until(working)
        job_id = (await running.get("/api/jobs"))["jobs"][0]["id"]
        cancelled = await running.post(f"/api/jobs/{job_id}/cancel")
        answer = await waiting
        twice = await running.post(f"/api/jobs/{job_id}/cancel")

    assert (cancelled.status_code, cancelled.json()["job"]["state"]) == (202, "cancelled")
    assert (answer.status_code, answer.json()["code"]) == (409, "cancelled")
    assert twice.status_code == 409


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"model_name": "tinnynet"}, 404, "unknown_model"),
        ({"model_name": "bare"}, 422, "no_weights"),
        ({"model_name": "../etc"}, 422, "invalid"),
        ({"model_name": "tinynet", "format": "pickle"}, 422, "invalid"),
        ({"model_name": "tinynet-int8", "variant": "fp16"}, 422, "invalid"),
        ({}, 422, "invalid"),
    ],
)
async def test_what_cannot_be_asked_for_is_refused_at_once(start, body, status, code):
    async with start() as running:
        answer = await running.post("/api/models/download", **body)

        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.json()["hint"]
        assert (await running.get("/api/jobs"))["total"] == 0


async def test_the_nearest_names_are_said(start):
    async with start() as running:
        answer = await running.post("/api/models/download", model_name="tinnynet")

    assert "tinynet" in answer.json()["hint"]


async def test_images_that_are_not_on_the_controllers_machine_are_refused(start):
    async with start() as running:
        body = {"model_name": "tinynet", "format": "onnx", "variant": "int8", "calibration": "/no/such/folder"}
        answer = await running.post("/api/models/convert", **body)

    assert (answer.status_code, answer.json()["code"]) == (422, "bad_calibration")


async def test_a_job_that_nobody_knows_is_not_found(start):
    async with start() as running:
        answer = await running.http.get("/api/jobs/nonsense")

    assert answer.status_code == 404


async def test_no_path_of_the_controllers_machine_is_told(start, tmp_path):
    async with start() as running:
        await running.post("/api/models/convert", model_name="digits_mlp", format="onnx", variant="fp16")
        told = await running.http.get("/api/jobs")

    assert told.json()["jobs"][0]["source"] == "onnx: the stored file"
    assert str(tmp_path) not in told.text
