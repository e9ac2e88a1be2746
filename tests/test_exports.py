"""Lists over REST: sorted, filtered, and as CSV files that hold all of what was asked for."""

import asyncio
import csv
import io
import time
from dataclasses import replace

import pytest

from broker.messages import Latency, Telemetry
from broker.phases import Phase
from controller.api.csv_rows import csv_lines
from controller.deployment import begin
from controller.storage.store import like
from controller.telemetry import history
from tests.controlling import controller

FLEET = {"pi4-1": ("raspberry_pi_4", 40.0), "pi5-1": ("raspberry_pi_5", 9.0), "pi5-2": ("raspberry_pi_5", 12.5)}


@pytest.fixture
async def running(tmp_path):
    async with controller(tmp_path) as whole:
        store = whole.parts.service.store
        with store.transaction():
            for device_id, (kind, energy_mj) in FLEET.items():
                store.add_device(device_id, 1.0, approved=True)
                reading = {"energy": {"source": "ina3221", "energy_mj": energy_mj}, "latency_ms": {"p95": 3.0}}
                info = {"device_type": kind, "tags": {"line": "A", "site": "=1+1"}}
                store.put_device(device_id, info=info, reading=reading, reading_at=time.time(), online=1)
            store.add_device("dark-1", 1.0, approved=True)
        yield whole


def add(running, *deployments):
    for n, (model, device_id, phase) in enumerate(deployments):
        begun = begin(command_id=f"d{n}", device_id=device_id, model=model, origin="cli", at=100.0 + n)
        made = replace(begun, phase=phase, result={"energy_mj": 4.5, "energy_source": "ina3221"})
        running.parts.service.deployments.put(made)


async def rows(running, what, **query):
    answer = await running.http.get(f"/api/export/{what}", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text)))


@pytest.mark.parametrize(
    ("sort", "first", "last"),
    [
        ("id", "dark-1", "pi5-2"),
        ("-id", "pi5-2", "dark-1"),
        ("energy_mj", "pi5-1", "dark-1"),
        ("-energy_mj", "pi4-1", "dark-1"),
        ("device_type", "pi4-1", "dark-1"),
        ("-health", "dark-1", "pi5-2"),
    ],
)
async def test_devices_are_sorted_and_those_without_a_figure_come_last(running, sort, first, last):
    found = (await running.get("/api/devices", sort=sort))["devices"]

    assert (found[0]["id"], found[-1]["id"]) == (first, last)


async def test_a_page_of_a_sorted_list_goes_on_where_the_one_before_ended(running):
    pages = [(await running.get("/api/devices", sort="-energy_mj", limit=2, offset=n))["devices"] for n in (0, 2)]

    assert [each["id"] for page in pages for each in page] == ["pi4-1", "pi5-2", "pi5-1", "dark-1"]


async def test_devices_are_found_by_board_and_an_unknown_order_is_refused(running):
    assert (await running.get("/api/devices", device_type="raspberry_pi_5"))["total"] == 2
    assert (await running.get("/api/devices", model="digits_cnn_s"))["total"] == 0
    assert (await running.http.get("/api/devices", params={"sort": "colour"})).status_code == 422


async def test_the_file_of_devices_holds_what_the_filter_selects_with_units_in_its_head(running):
    found = await rows(running, "devices", device_type="raspberry_pi_5", sort="-energy_mj")

    assert [(each["id"], each["energy_mj"], each["energy_source"]) for each in found] == [
        ("pi5-2", "12.5", "ina3221"),
        ("pi5-1", "9.0", "ina3221"),
    ]
    assert found[0]["tags"] == "line=A site==1+1"


async def test_no_text_of_a_file_is_a_formula_of_a_spreadsheet(running):
    add(running, ("=HYPERLINK(1)", "pi5-1", Phase.SUCCEEDED))

    assert (await rows(running, "deployments"))[0]["model"] == "'=HYPERLINK(1)"


async def test_deployments_are_found_by_phase_and_by_words_and_the_file_is_not_only_a_page(running):
    add(running, *[("cnn_s", "pi5-1", Phase.SUCCEEDED)] * 600, ("cnnxs", "pi4-1", Phase.FAILED))

    assert len(await rows(running, "deployments")) == 601
    assert len(await rows(running, "deployments", q="cnn_")) == 600
    assert (await running.get("/api/deployments", phase="failed"))["total"] == 1
    assert (await running.get("/api/deployments", q="PI4"))["deployments"][0]["model"] == "cnnxs"
    assert (await running.get("/api/deployments", sort="oldest", limit=1))["deployments"][0]["id"] == "d0"
    assert (await rows(running, "deployments", q="pi4"))[0]["created_at_utc"] == "1970-01-01T00:11:40+00:00"


async def test_models_and_rollouts_are_files_too(running):
    found = await rows(running, "models", q="digits", stored="true")

    assert "digits_cnn_s" in {each["name"] for each in found}
    assert await rows(running, "rollouts", q="nothing") == []
    assert await rows(running, "ledger", device_type="raspberry_pi_5") == []
    assert (await running.http.get("/api/rollouts", params={"phase": "asleep"})).status_code == 422


async def test_telemetry_keeps_its_spikes_and_says_when_it_was_throttled(running):
    now = time.time()
    samples = [
        Telemetry(ts=now - 60 + n, session="s", seq=n, soc_pct=80.0, throttled=n == 7, storage_usage_mb=100.0)
        for n in range(10)
    ]
    spike = Telemetry(ts=now - 40, session="s", seq=99, latency_ms=Latency(p50=1.0, p95=2.0, max=950.0))
    store = running.parts.service.store
    with store.transaction():
        history.add_samples(store, [("pi5-1", each, now) for each in [*samples, spike]])

    found = await running.get("/api/devices/pi5-1/telemetry", minutes=15, points=1)
    told = await rows(running, "telemetry", device_id="pi5-1", minutes=15, points=1)

    assert [each["latency_max_ms"]["max"] for each in found["series"] if each["latency_max_ms"]] == [950.0]
    assert found["series"][0]["soc_pct"]["mean"] == 80.0
    assert max(each["throttled"] or 0 for each in found["series"]) == 1
    assert max(each["throttled"] for each in told) == "1"
    assert told[0]["storage_usage_mb_mean"] == "100.0"
    assert (await running.http.get("/api/export/telemetry", params={"device_id": "nobody"})).status_code == 404


def test_percent_and_underscore_of_a_search_are_themselves():
    assert like("50%_A\\") == "%50\\%\\_a\\\\%"


async def test_the_courses_of_many_devices_are_one_answer_with_gaps_as_gaps(running):
    now = time.time()
    samples = [
        Telemetry(ts=now - at, session="s", seq=n, latency_ms=Latency(p50=1.0, p95=p95, max=p95))
        for n, (at, p95) in enumerate([(850, 2.0), (840, 9.0), (30, 3.0)])
    ]
    store = running.parts.service.store
    with store.transaction():
        history.add_samples(store, [("pi5-1", each, now) for each in samples])

    found = (await running.get("/api/telemetry/courses", device_id=["pi5-1", "pi4-1"], points=15))["courses"]

    assert found["pi5-1"]["latency_p95_ms"] == [9.0, *[None] * 13, 3.0]
    assert found["pi4-1"]["latency_p95_ms"] == [None] * 15


async def test_a_view_is_kept_for_everybody_and_removed_by_its_name(running):
    query = {"tag": "line=A", "order": "dearest first"}
    await running.http.put("/api/views/hot%20line", json={"query": query | {"q": ""}})

    assert (await running.get("/api/views"))["views"] == [{"name": "hot line", "query": query}]
    assert (await running.http.delete("/api/views/hot%20line")).status_code == 200
    assert (await running.get("/api/views"))["views"] == []


@pytest.mark.parametrize(
    ("method", "name", "query", "status"),
    [
        ("PUT", "x" * 41, {}, 422),
        ("PUT", "%20", {}, 422),
        ("PUT", "a", {"password": "1"}, 422),
        ("PUT", "a", {"q": "x" * 201}, 422),
        ("DELETE", "nobody", None, 404),
    ],
)
async def test_what_is_no_view_is_refused_with_what_would_do(running, method, name, query, status):
    answer = await running.http.request(method, f"/api/views/{name}", json={"query": query})

    assert (answer.status_code, bool(answer.json()["hint"])) == (status, True)


async def test_everybody_else_has_a_turn_while_a_file_is_written():
    read, seen = [], set()

    async def look():
        while True:
            seen.add(len(read))
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    written = [part async for part in csv_lines(["n"], ([read.append(n) or {"n": n}] for n in range(20)))]
    looking.cancel()

    assert len(written) == 21
    assert seen >= set(range(1, 21))
