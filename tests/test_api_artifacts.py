"""Artifacts over a real socket: whole or in ranges, never other bytes than their hash promises."""

import asyncio
import errno
import hashlib
import os
import socket

import httpx
import pytest
import uvicorn

from controller.api import zero_copy as sending
from controller.api.app import create
from controller.api.file_response import CHUNK_BYTES
from controller.api.zero_copy import zero_copy
from controller.downloads import at_once
from controller.serving import NOBODY_MORE, Complaints, listening
from tests.controlling import controller
from tests.tiny_tflite import tiny_tflite

CONTENT = os.urandom(320 * CHUNK_BYTES + 17)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
PATH = f"/models/sha256/{DIGEST}"


@pytest.fixture
async def running(tmp_path):
    async with controller(tmp_path) as whole:
        whole.parts.service.artifacts.add(CONTENT, model="blob", format="tflite")
        yield whole


@pytest.fixture(params=[zero_copy, lambda app: app], ids=["by the kernel", "by chunks"])
async def served(request, running, free_port):
    """A client of the application over loopback, both ways of sending."""
    wrapped = request.param
    server = uvicorn.Server(uvicorn.Config(wrapped(create(running.parts)), log_level="critical", lifespan="off"))
    with listening("127.0.0.1", free_port) as door:
        serving = asyncio.create_task(server.serve([door]))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{free_port}") as http:
            yield http
        server.should_exit = True
        await serving


def blob(running):
    return running.parts.data_dir / "artifacts" / "sha256" / DIGEST


async def test_the_whole_file_comes_with_its_length_and_its_hash(served):
    whole = await served.get(PATH)

    assert whole.content == CONTENT
    assert whole.headers["content-length"] == str(len(CONTENT))
    assert (whole.headers["etag"], whole.headers["x-checksum-sha256"]) == (f'"{DIGEST}"', DIGEST)
    assert (whole.headers["accept-ranges"], whole.headers["content-type"]) == ("bytes", "application/octet-stream")


async def test_a_head_says_the_same_without_the_bytes(served):
    whole, head = await served.get(PATH), await served.head(PATH)

    assert head.content == b""
    assert {k: v for k, v in head.headers.items() if k != "date"} == {
        k: v for k, v in whole.headers.items() if k != "date"
    }


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=1000-", 1000, len(CONTENT)),
        ("bytes=0-0", 0, 1),
        (f"bytes={CHUNK_BYTES - 1}-{CHUNK_BYTES}", CHUNK_BYTES - 1, CHUNK_BYTES + 1),
        ("bytes=-17", len(CONTENT) - 17, len(CONTENT)),
    ],
)
async def test_a_range_is_answered_by_its_bytes(served, asked, start, end):
    part = await served.get(PATH, headers={"Range": asked})

    assert (part.status_code, part.content) == (206, CONTENT[start:end])
    assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"
    assert part.headers["content-length"] == str(end - start)


async def test_several_ranges_are_answered_by_the_whole_file(served):
    assert (await served.get(PATH, headers={"Range": "bytes=0-1,50-51"})).content == CONTENT


@pytest.mark.parametrize("asked", [f"bytes={len(CONTENT)}-", "bytes=9-5", "bytes=nonsense"])
async def test_a_range_that_nobody_can_answer_is_416_in_the_one_form_with_the_length(served, asked):
    refused = await served.get(PATH, headers={"Range": asked})

    assert (refused.status_code, refused.headers["content-range"]) == (416, f"bytes */{len(CONTENT)}")
    assert (refused.json()["success"], refused.json()["code"]) == (False, "bad_range")


async def test_a_download_is_resumed_only_of_the_same_file(served):
    same = await served.get(PATH, headers={"Range": "bytes=5-", "If-Range": f'"{DIGEST}"'})
    other = await served.get(PATH, headers={"Range": "bytes=5-", "If-Range": '"another"'})

    assert (same.status_code, same.content) == (206, CONTENT[5:])
    assert (other.status_code, other.content) == (200, CONTENT)


async def test_who_has_the_file_is_told_so_without_bytes(served):
    known = await served.get(PATH, headers={"If-None-Match": f'W/"x", "{DIGEST}"'})

    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", f'"{DIGEST}"')


async def test_a_model_is_served_by_its_name_in_the_format_asked_for(served, running):
    small = tiny_tflite()
    running.parts.service.artifacts.add(small, model="digits_mlp", format="tflite")
    onnx, tflite = await served.get("/models/digits_mlp"), await served.get("/models/digits_mlp?format=tflite")
    missing = await served.get("/models/digits_mlp?format=rknn")

    assert hashlib.sha256(onnx.content).hexdigest() == onnx.headers["x-checksum-sha256"]
    assert (tflite.content, (await served.get(f"/models/{DIGEST}")).content) == (small, CONTENT)
    assert tflite.headers["cache-control"] == "no-cache"
    assert (missing.status_code, missing.json()["code"]) == (404, "no_artifact")
    assert (await served.get("/models/nobody_knows")).json()["code"] == "unknown_model"


async def test_a_damaged_file_is_not_served_and_a_mended_one_is(served, running):
    blob(running).write_bytes(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
    refused = await served.get(PATH)
    running.parts.service.artifacts.add(CONTENT, model="blob", format="tflite")

    assert (refused.status_code, refused.json()["success"]) == (422, False)
    assert (await served.get(PATH)).content == CONTENT


async def test_a_file_that_is_removed_while_it_is_sent_still_comes_whole(served, running):
    async with served.stream("GET", PATH) as answer:
        chunks = answer.aiter_bytes()
        got = await anext(chunks)
        blob(running).unlink()
        async for chunk in chunks:
            got += chunk

    assert got == CONTENT
    assert (await served.get(PATH)).status_code == 404


@pytest.mark.parametrize("damage", ["other bytes", "cut short"])
async def test_a_file_that_is_damaged_while_it_is_sent_never_ends_as_complete(served, running, damage):
    with pytest.raises(httpx.RemoteProtocolError):
        async with served.stream("GET", PATH) as answer:
            chunks = answer.aiter_bytes()
            await anext(chunks)
            with blob(running).open("r+b") as file:
                if damage == "cut short":
                    file.truncate(1000)
                else:
                    file.seek(-1, os.SEEK_END)
                    file.write(b"X")
            async for _ in chunks:
                pass


async def test_who_is_one_too_many_is_asked_to_come_again_and_nobody_else_is_refused(served, running):
    running.parts.downloads.most = 1
    async with served.stream("GET", PATH) as first:
        second, head, other = await served.get(PATH), await served.head(PATH), await served.get("/livez")
        while_one = (running.parts.downloads.at_work, running.parts.downloads.refused)
        got = await first.aread()
    again = await served.get(PATH)

    assert (second.status_code, second.json()["code"]) == (503, "too_many_downloads")
    assert 5 <= int(second.headers["retry-after"]) <= 20
    assert (head.status_code, other.status_code, while_one) == (200, 200, (1, 1))
    assert got == again.content == CONTENT
    assert 'requests_limited_total{what="downloads"} 1.0' in (await served.get("/metrics")).text


async def test_a_client_that_reads_nothing_is_let_go_and_does_not_hold_the_others(running, free_port, monkeypatch):
    monkeypatch.setattr(sending, "STALLED_S", 0.1)
    server = uvicorn.Server(uvicorn.Config(zero_copy(create(running.parts)), log_level="critical", lifespan="off"))
    with listening("127.0.0.1", free_port) as door, socket.create_connection(("127.0.0.1", free_port)) as asleep:
        serving = asyncio.create_task(server.serve([door]))
        asleep.sendall(f"GET {PATH} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{free_port}") as http:
            await running.until(lambda: _is(running.parts.downloads.at_work == 1))
            assert (await http.get(PATH)).content == CONTENT
            await running.until(lambda: _is(running.parts.downloads.at_work == 0))
        server.should_exit = True
        await serving


async def _is(condition):
    return condition


def test_there_is_room_for_a_third_of_the_files_that_may_be_open_but_for_our_own():
    assert [at_once(limit) for limit in (64, 1024, 65_536)] == [1, 256, 21_760]


async def test_who_finds_no_file_left_to_open_is_asked_to_come_again(served, running, monkeypatch):
    def full(_sha256):
        raise OSError(errno.EMFILE, "Too many open files")

    assert (await served.get(PATH)).status_code == 200
    monkeypatch.setattr(running.parts.service.artifacts, "open", full)
    refused = await served.get(PATH)

    assert (refused.status_code, refused.json()["code"]) == (503, "too_many_downloads")
    assert (running.parts.downloads.at_work, running.parts.downloads.refused) == (0, 1)


async def test_that_nobody_more_can_be_let_in_is_said_once_and_without_a_trace(caplog):
    hear, loop = Complaints(), asyncio.get_running_loop()
    for _ in range(500):
        hear(loop, {"message": NOBODY_MORE, "exception": OSError(errno.EMFILE, "Too many open files")})
    hear(loop, {"message": "something else"})

    assert [record.name for record in caplog.records] == ["controller.serving", "asyncio"]
    assert "LimitNOFILE" in caplog.text
    assert "Traceback" not in caplog.text
