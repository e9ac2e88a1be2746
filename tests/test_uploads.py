"""Files that people send: answered for or taken in, and nothing is left of what is refused."""

import asyncio
import hashlib
import json
import shutil
import subprocess

import numpy as np
import pytest
from safetensors.numpy import save

from broker.errors import ArtifactError
from controller.models import intake
from controller.models.apart import Bounds, analyze_apart
from controller.models.shipped import MODELS
from tests.controlling import controller, served
from tests.tiny_tflite import tiny_tflite

DIGITS = (MODELS / "digits_mlp.onnx").read_bytes()
TINY = tiny_tflite()


@pytest.fixture
async def running(tmp_path):
    async with controller(tmp_path, max_upload_mb=1) as whole:
        yield whole


async def put(running, path, content, *, headers=None, **query):
    return await running.http.put(path, content=content, params=query or None, headers=headers)


def leftovers(folder):
    return [path for path in (folder / "uploads").rglob("*") if path.is_file()]


async def names(running):
    return [model["name"] for model in (await running.get("/api/models/all", q="mine"))["models"]]


async def test_a_file_is_analyzed_and_nothing_of_it_is_kept(running, tmp_path):
    answer = await running.http.post("/api/models/analyze?name=net.tflite", content=TINY)
    facts = answer.json()["facts"]

    assert (answer.status_code, facts["format"], facts["params"]) == (200, "tflite", 2672)
    assert facts["inputs"] == {"image": {"shape": [1, 8, 8, 3], "dtype": "float32"}}
    assert leftovers(tmp_path) == []
    assert await names(running) == []


async def test_a_model_is_taken_in_served_by_its_hash_and_told_in_the_events(running, tmp_path):
    answer = await put(running, "/api/models/upload", TINY, name="mine", licence="MIT", top1_pct=61.5)
    told = answer.json()
    events = (await running.get("/api/logs", type="model"))["logs"]

    assert told["success"]
    assert (told["model"], told["format"]) == ("mine", "tflite")
    assert told["sha256"] == hashlib.sha256(TINY).hexdigest()
    assert (await running.http.get(told["path"])).content == TINY
    assert await names(running) == ["mine"]
    assert events[0]["text"].startswith("mine was added: tflite fp32")
    assert events[0]["facts"]["licence"] == "MIT"
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/api/models/upload/mine.tflite", {}),
        ("/api/models/upload?name=mine", {}),
        ("/api/models/upload", {"Content-Disposition": 'attachment; filename="mine.tflite"'}),
    ],
)
async def test_the_name_comes_from_the_address_or_the_header(running, path, headers):
    answer = await put(running, path, TINY, headers=headers)

    assert answer.json()["model"] == "mine"


@pytest.mark.parametrize(
    ("query", "headers", "code"),
    [
        ({"name": "../../etc/passwd"}, {}, "invalid"),
        ({"name": "a" * 300}, {}, "invalid"),
        ({"filename": "..%2fx.onnx"}, {}, "invalid"),
        ({}, {"Content-Disposition": 'attachment; filename="../../evil.onnx"'}, "invalid"),
        ({}, {}, "invalid"),
        ({"name": "digits_mlp"}, {}, "conflict"),
        ({"name": "mine", "top1_pct": 300}, {}, "invalid"),
        ({"name": "mine"}, {"Content-Type": "multipart/form-data; boundary=x"}, "invalid"),
    ],
)
async def test_a_name_that_leads_elsewhere_or_is_taken_is_refused(running, tmp_path, query, headers, code):
    answer = await put(running, "/api/models/upload", TINY, headers=headers, **query)

    assert answer.json()["code"] == code
    assert answer.json()["hint"]
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "bad_artifact"),
        (DIGITS[:500], "bad_artifact"),
        (b"<html>404</html>", "foreign_file"),
        (b"PK\x03\x04", "foreign_file"),
    ],
)
async def test_what_is_no_model_is_refused_and_not_kept(running, tmp_path, content, code):
    answer = await put(running, "/api/models/upload", content, name="mine")

    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert await names(running) == []
    assert leftovers(tmp_path) == []


async def endless(seen):
    while True:
        seen.append(65_536)
        yield bytes(65_536)


async def test_what_is_too_large_is_refused_unread_or_cut_off(running, tmp_path):
    announced = await put(running, "/api/models/upload", bytes(1_000_001), name="mine")
    seen = []
    streamed = await put(running, "/api/models/upload", endless(seen), name="mine")

    for answer in (announced, streamed):
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        assert "1 MB" in answer.json()["error"]
    assert sum(seen) < 2_000_000
    assert leftovers(tmp_path) == []


async def test_a_disk_without_room_is_told_before_anything_is_written(running, tmp_path, monkeypatch):
    monkeypatch.setattr(intake, "RESERVE_BYTES", 1 << 60)

    answer = await put(running, "/api/models/upload", TINY, name="mine")

    assert (answer.status_code, answer.json()["code"]) == (507, "disk_full")
    assert leftovers(tmp_path) == []


async def test_weights_become_a_job_of_the_workshop(running, tmp_path):
    weights = save({"w": np.zeros((2, 2), np.float32)})
    alone = await put(running, "/api/models/upload", weights, name="mine.safetensors")
    ordered = await put(running, "/api/models/upload", weights, name="mine", architecture="resnet18")
    pickled = await put(running, "/api/models/upload", b"\x80\x04N.", name="mine", architecture="resnet18")
    job = running.parts.workshop.known(ordered.json()["job_id"])

    assert (alone.status_code, ordered.status_code, pickled.status_code) == (422, 200, 422)
    assert "--architecture" in alone.json()["hint"]
    assert "safetensors" in pickled.json()["hint"]
    assert (job.order.model, job.order.source.architecture) == ("mine", "resnet18")
    assert [path.read_bytes() for path in leftovers(tmp_path)] == [weights]
    assert job.order.source.path == str(leftovers(tmp_path)[0])


async def test_an_upload_that_breaks_off_or_stalls_leaves_nothing(running, tmp_path, free_port):
    running.parts.intake.idle_s = 0.2
    head = b"POST /api/models/upload?name=mine HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n"
    async with served(running, free_port):
        reader, stalled = await asyncio.open_connection("127.0.0.1", free_port)
        stalled.write(head + bytes(70_000))
        answer = await reader.readuntil(b"\r\n")
        _, broken = await asyncio.open_connection("127.0.0.1", free_port)
        broken.write(head + bytes(70_000))
        await broken.drain()
        for writer in (broken, stalled):
            writer.close()

        async def tidy():
            return leftovers(tmp_path) == []

        await running.until(tidy)

    assert answer.startswith(b"HTTP/1.1 408")
    assert await names(running) == []


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_sends_a_file_in_both_ways(running, tmp_path, free_port):
    (tmp_path / "mine.tflite").write_bytes(TINY)
    file = str(tmp_path / "mine.tflite")

    async def curl(*words):
        process = await asyncio.create_subprocess_exec("curl", "-s", *words, stdout=subprocess.PIPE)
        out, _ = await process.communicate()
        return json.loads(out)

    async with served(running, free_port) as url:
        analyzed = await curl("--data-binary", f"@{file}", f"{url}/api/models/analyze")
        uploaded = await curl("-T", file, f"{url}/api/models/upload/")
        large = await curl("-T", "/dev/zero", f"{url}/api/models/upload?name=mine")

    assert analyzed["facts"]["params"] == 2672
    assert uploaded["model"] == "mine"
    assert large["code"] == "too_large"


async def test_the_controller_goes_on_answering_while_files_are_read(running):
    uploads = [asyncio.create_task(put(running, "/api/models/analyze", TINY)) for _ in range(4)]
    answered = 0
    while not all(task.done() for task in uploads):
        await asyncio.wait(uploads, timeout=0.01)
        assert (await running.get("/livez"))["success"]
        answered += 1

    assert answered > 10
    assert {task.result().status_code for task in uploads} == {200}


async def test_a_file_that_takes_too_much_memory_or_time_ends_alone(tmp_path):
    nodes = b"\x0a\x00" * 3_000_000
    size = len(nodes)
    length = bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14 & 127 | 128, size >> 21])
    path = tmp_path / "hostile.onnx"
    path.write_bytes(b"\x08\x08\x42\x02\x10\x0f\x3a" + length + nodes)

    with pytest.raises(ArtifactError, match=r"ended the process|operators|alloc failed"):
        await analyze_apart(path, Bounds(base_memory_mb=300))
    with pytest.raises(ArtifactError, match=r"was not read after 0.01 s"):
        await analyze_apart(path, Bounds(timeout_s=0.01))


async def test_what_an_earlier_life_left_half_received_is_removed(tmp_path):
    (tmp_path / "uploads/incoming/x").mkdir(parents=True)
    (tmp_path / "uploads/incoming/x/model").write_bytes(b"half")

    async with controller(tmp_path):
        assert leftovers(tmp_path) == []
