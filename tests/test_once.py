"""A write under a key is done once: when it is asked for again, at the same time, or after a crash."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from controller.answers import KEPT_S, Answers
from controller.api.once import Once
from tests.controlling import controller

T0 = 1_800_000_000.0
KEY = {"Idempotency-Key": "a-key"}


class Counting:
    """An application that counts what it does, and can be made to wait or fail."""

    def __init__(self, store):
        self.at, self.done, self.status, self.go = T0, 0, 202, asyncio.Event()
        self.go.set()
        self.store = store
        self.app = FastAPI()
        self.app.add_middleware(Once, answers=Answers(self.store), clock=lambda: self.at)
        self.app.post("/do")(self.do)

    async def do(self):
        await self.go.wait()
        self.done += 1
        return JSONResponse({"done": self.done}, status_code=self.status)

    def asked(self, content=b"{}", headers=KEY, path="/do", **more):
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        client = httpx.AsyncClient(transport=transport, base_url="http://c")
        return client.post(path, content=content, headers=headers, **more)


@pytest.fixture
async def counting(store):
    return Counting(store)


async def test_the_same_write_is_done_once_and_answered_alike(counting):
    first, second = await counting.asked(), await counting.asked()
    without = await counting.asked(headers={})

    assert (first.status_code, first.json()) == (second.status_code, second.json()) == (202, {"done": 1})
    assert second.headers["idempotency-replayed"] == "true"
    assert without.json() == {"done": 2}


async def test_a_key_is_for_one_write_and_for_a_day(counting):
    await counting.asked()
    other = await counting.asked(b'{"other": 1}')
    elsewhere = await counting.asked(path="/do?x=1")
    counting.at += KEPT_S + 1
    later = await counting.asked(b'{"other": 1}')

    assert {answer.json()["code"] for answer in (other, elsewhere)} == {"key_reused"}
    assert later.json() == {"done": 2}


async def test_the_same_write_at_the_same_time_is_told_to_wait(counting):
    counting.go.clear()
    first = asyncio.ensure_future(counting.asked())
    while not counting.store.query("SELECT 1 FROM answers"):  # noqa: ASYNC110 - it begins in another task
        await asyncio.sleep(0)
    second = await counting.asked()
    counting.go.set()

    assert (second.status_code, second.json()["code"]) == (409, "in_progress")
    assert (await first).json() == {"done": 1}


async def test_what_failed_for_lack_of_disk_or_broker_may_be_asked_for_again(counting):
    counting.status = 507
    await counting.asked()
    counting.status = 202

    assert (await counting.asked()).json() == {"done": 2}


async def test_after_a_life_that_ended_in_the_middle_nothing_is_done_twice(counting):
    counting.go.clear()
    cut_off = asyncio.ensure_future(counting.asked())
    while not counting.store.query("SELECT 1 FROM answers"):  # noqa: ASYNC110 - it begins in another task
        await asyncio.sleep(0)
    cut_off.cancel()
    await asyncio.gather(cut_off, return_exceptions=True)
    counting.go.set()
    unknown = await counting.asked()

    assert (unknown.status_code, unknown.json()["code"]) == (409, "outcome_unknown")
    assert counting.done == 0


@pytest.mark.parametrize("key", ["", "with space", "x" * 201, "ü".encode()])
async def test_a_key_that_is_none_is_refused(counting, key):
    assert (await counting.asked(headers={"Idempotency-Key": key})).status_code == 422


async def test_a_body_without_end_is_not_read_to_its_end(counting):
    async def endless():
        for _ in range(3):
            yield b"x" * 500_000

    assert (await counting.asked(endless())).status_code == 413


async def test_a_deployment_that_is_asked_for_twice_is_one(tmp_path):
    async with controller(tmp_path) as running, running.joined():
        body = {"device_id": "pi5-1", "model_name": "digits_cnn_s", "max_energy_mj": 1e6}
        answers = [await running.http.post("/api/deploy", json=body, headers=KEY) for _ in range(2)]
        refused = [await running.http.post("/api/deploy", json=body | {"max_energy_mj": -1}) for _ in range(2)]
        total = (await running.get("/api/deployments"))["total"]

    assert answers[0].json() == answers[1].json()
    assert {answer.status_code for answer in refused} == {422}
    assert total == 1
